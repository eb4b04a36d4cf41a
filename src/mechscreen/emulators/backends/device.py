"""Predictions by JAX, compiled for whatever it runs on: a GPU above all.

The members of an ensemble are one function, with their weights stacked, so that a program can hold all of a screen
(`mechscreen.device`). Of a network's arithmetic the matrix products alone are in the precision that is asked for, as in
OpenVINO's; their sums, and all else, are in float32.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mechscreen.emulators.backends.base import FloatArray, Predictor
from mechscreen.emulators.settings import Precision
from mechscreen.errors import InputError


class DevicePredictor(Predictor):
    """A network as JAX computes it, on a GPU where there is one."""

    name = "device"
    precisions = ("float32", "bfloat16")
    keras = "jax"

    def _prepare(self, network: Any, precision: Precision) -> Callable[[FloatArray], Mapping[str, FloatArray]]:
        import jax

        members = as_members([network], precision, self.batch_size)
        call = jax.jit(members.call)

        def predict(rows: FloatArray) -> Mapping[str, FloatArray]:
            profiles, log_peaks = call(members.weights, rows)
            return {"profiles": np.asarray(profiles[0]), "log_peaks": np.asarray(log_peaks[0])}

        return predict


@dataclass(frozen=True)
class Members:
    """Networks as one function of JAX.

    Attributes
    ----------
    call
        ``call(weights, rows)``: normalised parameters (batch size, d), float32, to profiles (members, batch size,
        *shape) and log peaks (members, batch size, outputs).
    weights
        Of all members.
    """

    call: Callable[[Any, Any], tuple[Any, Any]]
    weights: Any


def as_members(networks: Sequence[Any], precision: Precision, batch_size: int) -> Members:
    """Return networks of one campaign as one function, for batches of one size.

    Raises
    ------
    InputError
        If Keras runs on another library than JAX.
    """
    from mechscreen.emulators.networks import network_shape
    from mechscreen.emulators.quiet_keras import keras

    if keras.backend.backend() != "jax":
        raise InputError(
            f"backend 'device' compiles networks that JAX runs, and Keras runs on {keras.backend.backend()} here; set "
            "KERAS_BACKEND=jax, or take emulators.backend: auto"
        )
    import jax
    import jax.numpy as jnp

    rows = jax.ShapeDtypeStruct((batch_size, network_shape(networks[0])[0]), np.float32)

    def said(network: Any, variables: Sequence[Any], values: Any) -> tuple[Any, Any]:
        own = dict(zip(map(id, network.variables), variables, strict=True))
        trained, others = (
            [own[id(variable)] for variable in group]
            for group in (network.trainable_variables, network.non_trainable_variables)
        )
        outputs, _ = network.stateless_call(trained, others, values, training=False)
        return outputs["profiles"], outputs["log_peaks"]

    weights = [[jnp.asarray(variable.value) for variable in network.variables] for network in networks]
    if len({_configuration(network) for network in networks}) == 1:
        stacked = [jnp.stack(values) for values in zip(*weights, strict=True)]
        together = jax.vmap(lambda variables, values: said(networks[0], variables, values), in_axes=(0, None))
        return Members(_with_products_in(precision, together, stacked, rows), stacked)

    def one_by_one(variables: Sequence[Any], values: Any) -> tuple[Any, ...]:
        each = [said(network, own, values) for network, own in zip(networks, variables, strict=True)]
        return tuple(jnp.stack(part) for part in zip(*each, strict=True))

    return Members(_with_products_in(precision, one_by_one, weights, rows), weights)


def _configuration(network: Any) -> str:
    """Return what a network computes with its weights; the seeds of these count for nothing."""

    def without_seeds(values: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in values.items() if key not in ("seed", "shared_object_id")}

    return json.dumps(json.loads(json.dumps(network.get_config()), object_hook=without_seeds), sort_keys=True)


def _with_products_in(precision: Precision, function: Callable[..., Any], *example: Any) -> Callable[..., Any]:
    """Return a function for arguments of these shapes, its matrix products in a precision, their sums in float32.

    Its types are fixed here, whatever types JAX makes of numbers where it is called. Products in loops are in float32.
    """
    import jax

    # Graphics processors would round the factors of what is called float32 to 10 bits.
    with jax.default_matmul_precision("highest"):
        traced, shape = jax.make_jaxpr(function, return_shape=True)(*example)
    structure = jax.tree.structure(shape)

    def computed(*arguments: Any) -> Any:
        values = _evaluate(traced.jaxpr, traced.consts, jax.tree.leaves(arguments), precision == "bfloat16")
        return jax.tree.unflatten(structure, values)

    return computed


_CALLS = ("jit", "pjit", "closed_call", "custom_jvp_call", "custom_vjp_call", "remat", "checkpoint")
"""Operations of JAX's that stand for a function of their own."""


def _evaluate(jaxpr: Any, constants: Sequence[Any], arguments: Sequence[Any], rounded: bool) -> list[Any]:
    """Compute a function as JAX wrote it down, but for the factors of its matrix products, which may be rounded."""
    from jax.extend.core import Literal

    values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*constants, *arguments], strict=True))

    def read(variable: Any) -> Any:
        return variable.val if isinstance(variable, Literal) else values[variable]

    for equation in jaxpr.eqns:
        operands, name = [read(variable) for variable in equation.invars], equation.primitive.name
        inner = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
        if name == "dot_general" and rounded:
            found = [_rounded_product(equation, operands)]
        elif name in _CALLS and inner is not None:
            found = _evaluate(getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), operands, rounded)
        else:
            result = equation.primitive.bind(*operands, **equation.params)
            found = result if equation.primitive.multiple_results else [result]
        values.update(zip(equation.outvars, found, strict=True))
    return [read(variable) for variable in jaxpr.outvars]


def _rounded_product(equation: Any, factors: Sequence[Any]) -> Any:
    """Return a matrix product of factors in bfloat16, added up in float32."""
    import jax
    import jax.numpy as jnp

    first, second = (factor.astype(jnp.bfloat16) for factor in factors)
    return jax.lax.dot_general(
        first,
        second,
        dimension_numbers=equation.params["dimension_numbers"],
        preferred_element_type=np.float32,
    ).astype(equation.outvars[0].aval.dtype)
