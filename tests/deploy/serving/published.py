"""What production servers accept, by what their makers publish: no other field, of no other type.

Of OpenVINO's Model Server the schema in its source (`src/schema.cpp`), of KServe the types of its
API (v1beta1), as its Python package 0.21 lists them; both cut down to the fields of one model.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Kubernetes(_Strict):
    model_config = ConfigDict(alias_generator=to_camel)


# ---- OpenVINO's Model Server ----


class OvmsModel(_Strict):
    name: str
    base_path: str
    batch_size: int | str | None = None
    model_version_policy: dict[str, Any] | None = None
    shape: dict[str, Any] | str | None = None
    nireq: Annotated[int, Field(ge=0)] | None = None
    target_device: str | None = None
    plugin_config: dict[str, str | int] | None = None
    stateful: bool | None = None
    idle_sequence_cleanup: bool | None = None
    low_latency_transformation: bool | None = None
    max_sequence_number: Annotated[int, Field(ge=0)] | None = None


class OvmsEntry(_Strict):
    config: OvmsModel


class OvmsConfig(_Strict):
    model_config_list: list[OvmsEntry]


# ---- KServe ----

_Quantity = Annotated[str, StringConstraints(pattern=r"^\d+(\.\d+)?(m|[KMGT]i?)?$")]
_DnsName = Annotated[str, StringConstraints(pattern=r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$")]


class Resources(_Strict):
    requests: dict[str, _Quantity] | None = None
    limits: dict[str, _Quantity] | None = None


class ModelFormat(_Strict):
    name: str
    version: str | None = None


class ModelSpec(_Kubernetes):
    model_format: ModelFormat
    protocol_version: Literal["v1", "v2", "grpc-v1", "grpc-v2"] | None = None
    runtime: str | None = None
    runtime_version: str | None = None
    storage_uri: str | None = None
    resources: Resources | None = None
    env: list[dict[str, Any]] | None = None
    args: list[str] | None = None


class Predictor(_Kubernetes):
    model: ModelSpec
    min_replicas: int | None = None
    max_replicas: int | None = None
    timeout: int | None = None


class ServiceSpec(_Strict):
    predictor: Predictor


class Metadata(_Strict):
    name: _DnsName
    namespace: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class InferenceService(_Kubernetes):
    api_version: Literal["serving.kserve.io/v1beta1"]
    kind: Literal["InferenceService"]
    metadata: Metadata
    spec: ServiceSpec
