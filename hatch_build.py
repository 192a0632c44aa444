"""Builds the scanning core (`native/`, Rust) into the package when it is installed or a wheel is made."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MODULE = "src/khien/_native.abi3.so"


class NativeBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Runs cargo and puts the library where Python imports it from."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build for wheels and editable installs alike."""
        if self.target_name != "wheel":
            return
        root = Path(self.root)
        cargo = shutil.which("cargo") or shutil.which("cargo", path=str(Path.home() / ".cargo" / "bin"))
        if cargo is None:
            raise RuntimeError(
                "khien's scanning core is written in Rust and there is no cargo here: "
                "install Rust 1.63 or newer (package cargo, or rustup), or install a wheel of khien"
            )
        target = Path(os.environ.get("CARGO_TARGET_DIR") or root / "native" / "target")
        manifest = str(root / "native" / "Cargo.toml")
        subprocess.run([cargo, "build", "--release", "--locked", "--quiet", "--manifest-path", manifest], check=True)
        built = root / MODULE
        part = built.with_suffix(".part")
        shutil.copyfile(target / "release" / "libkhien_native.so", part)
        part.replace(built)  # a running process keeps the old one
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"cp311-abi3-{platform}"
        build_data["artifacts"].append(MODULE)
