export class How { constructor(photos) { this.photos = photos; } draw() {} }
