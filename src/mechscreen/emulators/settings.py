"""What a campaign can set about networks and their training. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, ValidationError, ValidatorFunctionWrapHandler
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError, PydanticKnownError, core_schema

from mechscreen.emulators.architectures.aligned import AlignedSettings
from mechscreen.emulators.architectures.base import Network
from mechscreen.emulators.architectures.dense import DenseSettings
from mechscreen.emulators.architectures.lstm import LSTMSettings
from mechscreen.registry import NETWORKS

Combine = Literal["vote", "mean"]
"""What an ensemble predicts: what its most agreeing member says, or the mean of all."""
Precision = Literal["float32", "bfloat16"]
"""Of the matrix products of a prediction."""

FEWEST_CALIBRATED = 100
"""Simulations that probabilities of classes need."""

NO_VOTE_OF_TWO = "of two members neither agrees more with the other; take combine: mean, or three members"


class _ByName:
    """Validates the section ``emulators.architecture``: a mapping whose `network` names one of the registry.

    Its JSON Schema is that of the built-in networks.
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        built_in = handler.generate_schema(
            Annotated[DenseSettings | LSTMSettings | AlignedSettings, Field(discriminator="network")]
        )
        return core_schema.no_info_wrap_validator_function(
            _network,
            built_in,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda network, info: network.model_dump(mode=info.mode), info_arg=True
            ),
        )


def _network(values: Any, by_built_in: ValidatorFunctionWrapHandler) -> Network:
    if isinstance(values, Network):
        return values
    name = values.get("network") if isinstance(values, Mapping) else None
    if not isinstance(name, str):
        network: Network = by_built_in(values)
        return network
    names = NETWORKS.names()
    if name not in names:
        tags = ", ".join(f"'{known}'" for known in names)
        raise PydanticKnownError(
            "union_tag_invalid", {"discriminator": "'network'", "tag": name, "expected_tags": tags}
        )
    try:
        network = NETWORKS.get(name).model_validate(values)
    except ValidationError as error:
        # Below the network's name, as the errors of a union are.
        lines = [_below(name, item) for item in error.errors(include_url=False)]
        raise ValidationError.from_exception_data(error.title, lines) from None
    return network


def _below(name: str, item: ErrorDetails) -> InitErrorDetails:
    known = item["type"] in get_args(core_schema.ErrorType)
    kind = item["type"] if known else PydanticCustomError("value_error", item["msg"])
    return InitErrorDetails(type=kind, loc=(name, *item["loc"]), input=item["input"], ctx=item.get("ctx", {}))


NetworkSettings = Annotated[Network, _ByName()]
"""One of the networks of `mechscreen.registry.NETWORKS`, with its settings."""


class TrainingSettings(BaseModel):
    """How one member of an ensemble is trained (AdamW); the defaults suit the dense network."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    epochs: int = Field(200, ge=1, description="Passes over the training samples.")
    batch_size: int = Field(256, ge=1, description="Samples per optimiser step.")
    learning_rate: float = Field(4e-3, gt=0, le=1, description="Adam's rate (its peak, where the schedule varies it).")
    schedule: Literal["constant", "cosine"] = Field(
        "cosine", description="constant; or cosine: a short linear warm-up, then down to zero at the last step."
    )
    beta_1: float = Field(0.9, ge=0, lt=1, description="Adam's decay of the mean gradient (0.5 in the paper).")
    weight_decay: float = Field(
        0.1, ge=0, lt=1000, description="Share of a weight, times the rate, that each step takes away (AdamW; 0: Adam)."
    )
    clip_norm: float = Field(5.0, gt=0, description="Gradients are scaled down to this global norm.")
    loss: Literal["rmse", "mse", "cross_entropy"] = Field(
        "rmse",
        description="rmse: root mean square error of an output, plus 0.5 times the error of its log peak (0.02 where "
        "shapes alone are compared); mse or cross_entropy: as in the paper, summed over the points of a profile, plus "
        "the squared error of its log peak; the aligned network, and outputs of other scales or shapes, take rmse.",
    )
    patience: int | None = Field(
        None, ge=1, description="Stop after so many epochs without a better validation error; null: never."
    )
    precision: Literal["float32", "mixed_bfloat16"] = Field("float32", description="Arithmetic of the layers.")
