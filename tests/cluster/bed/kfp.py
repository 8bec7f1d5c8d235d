"""The backend of Kubeflow Pipelines 2.0.5, and the MariaDB in which its API server keeps the runs."""

import shutil
import subprocess
from pathlib import Path

from bed.layout import CACHE, DATABASE_PORT, NODE_IP, STATE
from bed.objects import apply, manifest
from bed.processes import answers, inside, start, wait_until
from bed.programs import source

# The API server of KFP makes its tables itself.
ACCOUNTS = """CREATE DATABASE IF NOT EXISTS mlpipeline;
CREATE USER IF NOT EXISTS kfp@'%' IDENTIFIED BY 'kfp';
GRANT ALL ON mlpipeline.* TO kfp@'%';
GRANT CREATE ON *.* TO kfp@'%';
"""
DATA = STATE / "mariadb"


def up() -> None:
    """Start the database and apply the backend; whether it is ready is for the caller to wait for."""
    _database()
    crds = source("kfp") / "manifests/kustomize/base/pipeline/cluster-scoped/scheduled-workflow-crd.yaml"
    apply(crds.read_text())
    apply(manifest("kfp"))


def _database() -> None:
    if not DATA.exists():
        shutil.copytree(_empty_database(), DATA)
    accounts = STATE / "accounts.sql"
    accounts.write_text(ACCOUNTS)
    start(
        *(
            "mariadb",
            "mariadbd",
            "--no-defaults",
            "--user=root",
            f"--datadir={DATA}",
            f"--init-file={accounts}",
        ),
        *(f"--socket={STATE}/mariadb.sock", f"--bind-address={NODE_IP}", f"--port={DATABASE_PORT}"),
        *("--skip-name-resolve", "--performance-schema=OFF", "--innodb-buffer-pool-size=32M"),
        "--innodb-flush-log-at-trx-commit=0",
    )
    login = ("--no-defaults", f"--host={NODE_IP}", f"--port={DATABASE_PORT}", "--user=kfp", "--password=kfp")
    question = inside("mariadb", *login, "--execute=USE mlpipeline")
    wait_until("MariaDB", lambda: answers(*question), log="mariadb")


def _empty_database() -> Path:
    """A data folder as the installation leaves it, made once: copying it takes a tenth of the time."""
    folder = CACHE / "mariadb-empty"
    if not folder.exists():
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        options = ("--no-defaults", "--user=root", f"--datadir={partial}", "--skip-test-db")
        login = "--auth-root-authentication-method=normal"
        subprocess.run(["mariadb-install-db", *options, login], check=True, capture_output=True)
        partial.rename(folder)
    return folder
