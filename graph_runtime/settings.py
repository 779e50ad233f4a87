"""What a person can set, once for the whole process.

One frozen `Settings`, read at the start: flags > environment (`LATENTLOOM_GPU_MEMORY=6GB`) > TOML file > the defaults
below. It is made in `cli.py` and handed down; nothing else reads the environment. Reading it makes no folder and asks
no device.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import platformdirs
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    PlainValidator,
    TypeAdapter,
    ValidationError,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from graph_runtime.problem import Problem, Refused

PREFIX = "LATENTLOOM_"
T = TypeVar("T")


def _split(value: object) -> object:
    """ "a:b" as the environment writes several (";" on Windows)."""
    return tuple(part for part in value.split(os.pathsep) if part) if isinstance(value, str) else value


def _memory(value: object) -> int | float | None:
    """Bytes as a whole number, a share of all there is as a float from 0 to 1, or None for "auto"."""
    if value is None or (isinstance(value, str) and value.strip().lower() in ("", "auto")):
        return None
    share = value if isinstance(value, float) else None
    if isinstance(value, str) and value.strip().endswith("%"):
        try:
            share = float(value.strip()[:-1]) / 100
        except ValueError:
            raise ValueError("before the % comes a number") from None
    if share is None:
        return int(TypeAdapter(Bytes).validate_python(value))
    if not 0 <= share <= 1:
        raise ValueError("a share is from 0 % to 100 %")
    return share


Folder = Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())]
Several = Annotated[tuple[T, ...], NoDecode, BeforeValidator(_split)]
Bytes = Annotated[ByteSize, Field(ge=0)]
Memory = Annotated[int | float | None, PlainValidator(_memory)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Settings(BaseModel):
    """Every setting, its default and what it means. Sizes are bytes, or text such as "6GB" (10⁹) and "6GiB" (2³⁰).

    Memory for models may also be a share, "80%", or "auto".
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    data_dir: Folder = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("latentloom", appauthor=False)),
        description="what the program keeps: results to use again, models, the folders below",
    )
    output_dir: Folder = Field(default_factory=lambda data: data["data_dir"] / "output", description="finished files")
    input_dir: Folder = Field(default_factory=lambda data: data["data_dir"] / "input", description="what to start from")
    model_dirs: Several[Folder] = Field(
        default_factory=lambda data: (data["data_dir"] / "models",), description="folders with checkpoints, LoRAs, …"
    )
    custom_nodes_dirs: Several[Folder] = Field(
        default_factory=lambda data: (data["data_dir"] / "custom_nodes",), description="folders that hold node packs"
    )
    packs: Several[str] = Field(("nodes",), description="modules that are packs without being installed as such")

    device: str = Field("auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$", description="auto, cpu, mps, cuda or cuda:1")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field("auto", description="what models compute in")
    gpu_memory: Memory = Field(None, description="of the GPU's memory, for models: 12GB, 80%, auto (all but a reserve)")
    host_memory: Memory = Field(None, description="of the machine's memory, for models: 12GB, 80%, auto (most of it)")
    threads: int = Field(0, ge=0, le=1024, description="threads that compute on the CPU; 0 leaves the choice to torch")

    cache_memory: Bytes = Field(ByteSize(1 << 30), description="results kept in memory")
    cache_disk: Bytes = Field(ByteSize(10 << 30), description="results kept on disk; 0 turns that off")
    cache_min_seconds: Seconds = Field(0.25, description="a result that took less is not worth keeping on disk")

    allow_absolute_paths: bool = Field(False, description="whether a workflow may name any file by its whole path")

    preload: Several[str] = Field(
        ("torch", "transformers.modeling_utils"), description="modules that a spare worker has imported already"
    )
    hang_seconds: Seconds = Field(120.0, description="without a sign of life, until a worker is killed; 0: never")
    start_seconds: Seconds = Field(180.0, description="how long a worker may take to be ready")
    cancel_grace: Seconds = Field(8.0, description="from Cancel until the worker is told to end")
    terminate_grace: Seconds = Field(2.0, description="from then until it is killed")
    heartbeat: Annotated[float, Field(gt=0, le=60)] = Field(1.0, description="between two signs of life of a worker")

    @property
    def cache_dir(self) -> Path:
        return self.data_dir / "cache"

    def as_json(self) -> dict[str, Any]:
        """Plain data, for another process; `Settings(**data)` there gives an equal one."""
        return self.model_dump(mode="json")


def config_file() -> Path:
    """Where the TOML file is looked for when no other is named."""
    return Path(platformdirs.user_config_dir("latentloom", appauthor=False)) / "config.toml"


def read_settings(flags: Mapping[str, Any] | None = None, file: Path | None = None) -> Settings:
    """The settings that hold: flags > environment > file > defaults. A flag that is None says nothing.

    Raises Refused with a Problem for every setting that cannot be used, and when a named `file` is not there.
    """
    said = {name: value for name, value in (flags or {}).items() if value is not None}
    path = file or config_file()
    if file is not None and not file.is_file():
        raise Refused(Problem("no-file", str(file), "there is no such settings file.", "Correct --config."))

    class Sources(BaseSettings, Settings):
        """Where `Settings` come from; made here because the file's path is known only now."""

        model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True)

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, path)

    try:
        return Settings(**dict(Sources(**said)))
    except ValidationError as error:
        raise Refused([_problem(dict(one), said, path) for one in error.errors()]) from None
    except tomllib.TOMLDecodeError as error:
        raise Refused(Problem("bad-toml", str(path), f"this is not TOML: {error}.", "Correct that line.")) from None


def _problem(error: Mapping[str, Any], said: Mapping[str, Any], path: Path) -> Problem:
    """What pydantic found, in the words of whoever typed it. Values are quoted: no setting is a secret."""
    name = str(error["loc"][0]) if error["loc"] else ""
    if name in said:
        place = "--" + name.replace("_", "-")
    elif PREFIX + name.upper() in os.environ:
        place = PREFIX + name.upper()
    else:
        place = f"{path}: {name}"
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, Settings.model_fields, 1)
        fix = f"Write {near[0]}." if near else f"Known are: {', '.join(Settings.model_fields)}."
        return Problem("unknown-setting", place, "there is no such setting.", fix)
    field = Settings.model_fields.get(name)
    reason = str(error["msg"])[:1].lower() + str(error["msg"])[1:]
    what = f"{str(error['input'])[:80]!r} cannot be used: {reason}."
    return Problem("bad-setting", place, what, f"It says: {field.description if field else ''}.", field=name)
