// How heat maps are drawn: the constants of regard.views, kept equal by a test.

export const RAMP = [
  "#090715", "#100a21", "#190d2d", "#231039", "#2d1245", "#391350", "#45145b", "#541461",
  "#641463", "#751463", "#861360", "#97125b", "#a81253", "#b71749", "#c22345", "#cd2e41",
  "#d7393b", "#e14434", "#eb4f2a", "#f45a1d", "#f9690f", "#fc7703", "#ff8500", "#ff930a",
  "#ffa11b", "#ffae2b", "#ffbb3d", "#ffc650", "#ffd062", "#fddb74", "#fce485", "#fced96",
  "#fbf6a6",
].map((colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16)));
export const SIGMA = 0.5; // width of the Gaussian, in cells
export const FULL_HEAT = 4; // a peak below this many times the uniform weight is drawn paler
export const RING = 0.04; // radius of the ring at the point that a word names, as a share of the longer side
export const VEIL = [0.74, 0.4]; // opacity over the photo where a word did not look, and where it looked most
