"""ONNX graphs behind the interfaces of encoders and decoders, so that the one search runs them too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from regard.annotations import Annotations, Concepts
from regard.attention import Memory
from regard.decoders import Decoder, State, Step, Trace
from regard.encoders.image import ImageEncoder, ImageEncoderSettings
from regard.encoders.text import TextEncoder
from regard.encoders.transformer import TransformerSizes
from regard.errors import ModelError
from regard.files import MAX_BYTES, check_regular
from regard.model import EncoderDecoder
from regard.saved.bundle import ENCODER_FILE, STEP_FILE
from regard.saved.onnx.naming import CONCEPT, CONCEPTS, MASK, NEXT, STATE
from regard.saved.onnx.packages import package

PURPOSE = "the runtime onnx"
PASS = 4
"""Pictures that go through the network together: more of them leave the processor's cache and are no faster."""


class Graph:
    """One ONNX file, ready to run on the processor with as many threads as torch.

    Attributes:
        inputs: their names.
        outputs: the sizes of each by its name; those that are free are names.

    Raises:
        DependencyError: ``onnxruntime`` is not installed.
        ModelError: the file is missing or damaged.
    """

    def __init__(self, path: Path) -> None:
        check_regular(path, most=MAX_BYTES)
        runtime = package("onnxruntime", purpose=PURPOSE)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # torch works between two runs, and waiting threads would take the processor from it
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._path = path
        self._failures = _failures()
        try:
            session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except self._failures as error:
            raise self._broken(error) from None
        self._session = session
        self.inputs: list[str] = [each.name for each in session.get_inputs()]
        self.outputs: dict[str, list[int | str]] = {each.name: each.shape for each in session.get_outputs()}

    def run(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The graph's outputs by name; of ``tensors`` it takes what it needs.

        Raises:
            ModelError: the graph cannot be run on them.
        """
        given = {name: tensors[name].contiguous().numpy() for name in self.inputs}
        try:
            results = self._session.run(list(self.outputs), given)
        except self._failures as error:
            raise self._broken(error) from None
        return {name: torch.from_numpy(result) for name, result in zip(self.outputs, results, strict=True)}

    def _broken(self, error: Exception) -> ModelError:
        reason = " ".join(str(error).split())
        return ModelError(f"{self._path}: cannot be run ({reason:.200})", remedy="export the model again")


def _failures() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises; its errors have no name in common."""
    module = package("onnxruntime.capi.onnxruntime_pybind11_state", purpose=PURPOSE)
    names = ("NoSuchFile", "InvalidProtobuf", "InvalidGraph", "InvalidArgument", "Fail", "NotImplemented")
    return tuple(getattr(module, name) for name in (*names, "RuntimeException"))


@dataclass(frozen=True, kw_only=True)
class GraphMemory(Memory):
    """What all rows of an input share, as a graph gave it.

    Attributes:
        names: of the tensors in ``others``, those that a memory has no field for.
    """

    names: tuple[str, ...]
    others: tuple[Tensor, ...]

    def named(self) -> dict[str, Tensor]:
        """Every tensor by its name in the graph."""
        found = {"values": self.values, "keys": self.keys, **dict(zip(self.names, self.others, strict=True))}
        return found if self.mask is None else {**found, MASK: self.mask}


@dataclass(frozen=True, kw_only=True)
class Encoded(Annotations):
    """Annotations with the decoder's first state, one row per input, which the encoder's graph gives with them."""

    first: State

    def select(self, index: Tensor) -> Encoded:
        chosen = super().select(index)
        first = self.first.select(index)
        return Encoded(chosen.values, chosen.mask, geometry=chosen.geometry, concepts=chosen.concepts, first=first)


def _encoded(results: Mapping[str, Tensor], mask: Tensor | None) -> Encoded:
    state = {name.removeprefix(STATE): each for name, each in results.items() if name.startswith(STATE)}
    named = {name.removeprefix(CONCEPT): each for name, each in results.items() if name.startswith(CONCEPT)}
    shared = {name: each for name, each in results.items() if not name.startswith((STATE, CONCEPT))}
    values = shared.pop("values")
    # a decoder without keys of its own has none in its graph either
    keys = shared.pop("keys", values[..., :0])
    memory = GraphMemory(values, keys, mask, names=tuple(shared), others=tuple(shared.values()))
    return Encoded(values, mask, concepts=Concepts(**named) if named else None, first=State(memory, state))


class OnnxImageEncoder(ImageEncoder):
    """Knows the geometry of its pictures; the graph knows the rest."""

    def __init__(self, settings: ImageEncoderSettings, graph: Graph) -> None:
        with torch.device("meta"):
            super().__init__(settings)
        self.set_submodule("network", nn.Identity())
        self._graph = graph

    def forward(self, pixels: Tensor) -> Annotations:
        parts = [self._graph.run({"pixels": part}) for part in torch.split(pixels, PASS)]
        return _encoded({name: torch.cat([part[name] for part in parts]) for name in parts[0]}, None)


class OnnxTextEncoder(TextEncoder):
    """Stands for an encoder of sentences of the same sizes."""

    def __init__(self, twin: TextEncoder, settings: object, graph: Graph) -> None:
        super().__init__()
        self.dim, self.backward_dim = twin.dim, twin.backward_dim
        self._settings = settings
        self._graph = graph

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Annotations:
        if isinstance(self._settings, TransformerSizes):
            self._settings.check_length(tokens.shape[1])
        mask = torch.ones_like(tokens, dtype=torch.bool) if mask is None else mask
        return _encoded(self._graph.run({"tokens": tokens, MASK: mask}), mask)


class OnnxDecoder(Decoder):
    """Its steps are runs of a graph.

    It starts from what the encoder of the same export gave, and not from other annotations.

    Args:
        twin: a decoder of the same settings, whose numbers do not matter.
        settings: the twin's.
        graph: of one step.
    """

    def __init__(self, twin: Decoder, settings: object, graph: Graph) -> None:
        super().__init__()
        self.vocabulary_size, self.attends = twin.vocabulary_size, twin.attends
        self._settings = settings
        self._graph = graph

    def start(self, annotations: Annotations, *, rows: int = 1) -> State:
        assert isinstance(annotations, Encoded), "a graph of the decoder starts from annotations of its own encoder"
        first = annotations.first
        return State(first.memory, {name: _spread(tensor, rows) for name, tensor in first.rows.items()})

    def step(self, state: State, tokens: Tensor) -> Step:
        memory = state.memory
        assert isinstance(memory, GraphMemory), "a state of this decoder's own start"
        if isinstance(self._settings, TransformerSizes):
            self._settings.check_length(state.length + 1)
        rows = {STATE + name: tensor for name, tensor in state.rows.items()}
        results = self._graph.run({"tokens": tokens, "length": torch.tensor(state.length), **memory.named(), **rows})
        following = {name: results[NEXT + name] for name in state.rows}
        return Step(results["logits"], State(memory, following, state.length + 1), results["weights"])

    def trace(self, annotations: Annotations, tokens: Tensor, lengths: Tensor | None = None) -> Trace:
        state = self.start(annotations, rows=tokens.shape[1])
        steps: list[Step] = []
        for each in tokens.unbind(dim=2):
            steps.append(self.step(steps[-1].state if steps else state, each))
        logits, weights = ([getattr(step, name) for step in steps] for name in ("logits", "weights"))
        return Trace(torch.stack(logits, dim=2), torch.stack(weights, dim=2))

    def logits(self, readouts: Tensor) -> Tensor:
        """A graph gives logits, so :meth:`trace` has nothing left to multiply."""
        return readouts


def _spread(tensor: Tensor, rows: int) -> Tensor:
    return tensor.expand(-1, rows, *tensor.shape[2:])


def run_graphs(model: EncoderDecoder, folder: Path) -> EncoderDecoder:
    """The model with the graphs in ``folder`` for its parts.

    Args:
        model: of the same settings; its numbers do not matter and are let go.

    Raises:
        DependencyError: ``onnxruntime`` is not installed.
        ModelError: a file is missing or damaged, or belongs to another model.
    """
    reader, step = Graph(folder / ENCODER_FILE), Graph(folder / STEP_FILE)
    _check(reader, step, model, origin=folder)
    settings = model.settings
    if isinstance(settings.encoder, ImageEncoderSettings):
        model.encoder = OnnxImageEncoder(settings.encoder, reader)
    else:
        assert isinstance(model.encoder, TextEncoder), "what reads no pictures reads sentences"
        model.encoder = OnnxTextEncoder(model.encoder, settings.encoder, reader)
    model.bridge = model.concepts = None
    model.decoder = OnnxDecoder(model.decoder, settings.decoder, step)
    return model.eval()


def _check(reader: Graph, step: Graph, model: EncoderDecoder, *, origin: Path) -> None:
    """Refuse graphs that do not belong together or not to a model of these settings."""
    reads = {"pixels"} if isinstance(model.encoder, ImageEncoder) else {"tokens", MASK}
    state = {name.removeprefix(STATE) for name in reader.outputs if name.startswith(STATE)}
    given = {*reader.outputs, *reads, "tokens", "length"}
    promised = {"logits", "weights", *(NEXT + name for name in state)}
    fits = set(reader.inputs) == reads and "values" in reader.outputs and set(step.inputs) <= given
    named = {name.removeprefix(CONCEPT) for name in reader.outputs if name.startswith(CONCEPT)}
    fits = fits and named == (set() if model.concepts is None else set(CONCEPTS))
    size = step.outputs.get("logits", [None])[-1]
    if not fits or set(step.outputs) != promised or size != model.decoder.vocabulary_size:
        raise ModelError(f"{origin}: its files do not belong together", remedy="export the model again")
