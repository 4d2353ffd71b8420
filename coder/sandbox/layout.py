"""Decides what a command inside sees: what is hidden, what of the hidden is shown again, what is masked.

Pure decisions over the environment and what exists on disk; `inside.mounts` and `bubblewrap` carry them out.
"""

import os
import pwd
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Step = tuple[str, ...]

# Where users, other programs and the machine keep what is theirs: replaced by empty directories.
_PRIVATE = (
    "/tmp", "/var/tmp", "/run", "/var/run", "/home", "/root", "/mnt", "/media", "/Users", "/Volumes",
    "/private/var/folders",
    "/var/spool", "/var/mail", "/var/backups", "/etc/ssl/private", "/etc/sudoers.d", "/var/lib/docker",
    "/var/lib/containerd", "/var/lib/kubelet", "/var/lib/rancher", "/var/lib/private", "/var/lib/postgresql",
    "/var/lib/mysql", "/var/lib/redis", "/var/lib/NetworkManager", "/var/log", "/etc/ssh", "/etc/letsencrypt",
    "/etc/wireguard", "/etc/openvpn", "/etc/ipsec.d", "/etc/NetworkManager", "/etc/kubernetes", "/etc/rancher",
    "/etc/docker", "/etc/containers", "/etc/pki/tls/private", "/etc/credstore", "/etc/credstore.encrypted",
)  # fmt: skip
_MASKED_FILES = ("/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/sudoers", "/etc/krb5.keytab",
                 "/etc/git-credentials", "/etc/security/opasswd")  # fmt: skip

# Third-party code below a home directory that build tools read; credentials beside it are masked.
_HOME_TOOLCHAINS = (
    ".cargo", ".rustup", ".pyenv", ".rbenv", ".nodenv", ".asdf", ".nvm", ".volta", ".fnm", ".sdkman", ".bun", ".deno",
    ".ghcup", ".cabal", ".stack", ".juliaup", ".dotnet", ".nuget/packages", ".jdks", ".goenv", "go", "sdk",
    ".m2/repository", ".m2/wrapper", ".gradle/caches", ".gradle/wrapper", ".gradle/jdks", ".gem/ruby", ".bundle/cache",
    ".local/bin", ".local/lib", ".local/pipx", ".local/share/pipx", ".local/share/uv", ".local/share/mise",
    ".virtualenvs", ".local/share/virtualenvs", ".cache/pypoetry/virtualenvs", ".local/share/hatch",
    ".local/share/fnm", ".local/share/pnpm", ".local/share/rtx", ".cache/go-build", ".cache/uv", ".cache/pre-commit",
    ".cache/ms-playwright", "miniconda3", "anaconda3", "miniforge3", "mambaforge", ".conda/envs", ".opam",
    ".composer/vendor", ".config/composer/vendor", ".pub-cache", ".mix", ".hex", ".elan", ".swiftly",
)  # fmt: skip
# Those of them that tools also write to: writes are taken, and discarded.
_HOME_CACHES = (
    ".cargo", ".m2/repository", ".gradle/caches", ".gradle/wrapper", "go", ".cache/go-build", ".cache/uv",
    ".nuget/packages", ".pub-cache", ".bundle/cache", ".local/share/pnpm", ".cabal", ".stack",
)  # fmt: skip
_HOME_SECRETS = (
    ".ssh", ".aws", ".gnupg", ".kube", ".docker", ".azure", ".config", ".netrc", ".npmrc", ".pypirc", ".yarnrc.yml",
    ".git-credentials", ".cargo/credentials", ".cargo/credentials.toml", ".m2/settings.xml",
    ".gradle/gradle.properties",
    ".gem/credentials", ".nuget/NuGet.Config", ".composer/auth.json", ".local/share/keyrings", ".local/state",
    ".password-store", ".mozilla", ".thunderbird", ".bash_history", ".zsh_history", ".python_history", ".pgpass",
    ".my.cnf", ".terraform.d", ".terraformrc", ".vault-token", ".hex/hex.config", ".pub-cache/credentials.json",
)  # fmt: skip
# Variables that say where a toolchain lives; their values are paths.
TOOLCHAIN_VARIABLES = (
    "VIRTUAL_ENV", "CONDA_PREFIX", "JAVA_HOME", "GOROOT", "GOPATH", "GOMODCACHE", "CARGO_HOME", "RUSTUP_HOME",
    "PYENV_ROOT", "RBENV_ROOT", "NODENV_ROOT", "NVM_DIR", "NVM_BIN", "VOLTA_HOME", "ASDF_DIR", "ASDF_DATA_DIR",
    "SDKMAN_DIR", "BUN_INSTALL", "DENO_DIR", "GEM_HOME", "DOTNET_ROOT", "M2_HOME", "MAVEN_HOME", "GRADLE_HOME",
)  # fmt: skip
_HOME_VARIABLES = (("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup"), ("PYENV_ROOT", ".pyenv"),
                   ("RBENV_ROOT", ".rbenv"), ("NVM_DIR", ".nvm"), ("VOLTA_HOME", ".volta"),
                   ("GOPATH", "go"))  # fmt: skip
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/proc", "/sys", "/nix",
           "/snap", "/gnu", "/var/lib/dpkg", "/var/cache/fontconfig", "/dev/null", "/dev/zero", "/dev/full",
           "/dev/random", "/dev/urandom")  # fmt: skip
_PROGRAM_DIRECTORIES = ("bin", "sbin", "shims", "Scripts")


_USUAL_PROGRAMS = ("python3", "python", "pytest", "tox", "nox", "uv", "node", "npm", "pnpm", "yarn", "go", "cargo",
                   "java", "mvn", "gradle", "ruby", "bundle", "php", "make")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Layout:
    """`hidden` directories become empty; `shown` paths below them are put back, read-only; `masked` files and
    directories are empty. `caches` are those of the shown that take writes, for the run. `inner` are hidden
    directories inside the repository. `home` and the other `writable` directories are fresh and vanish with the
    command. `toolchain` are all paths that programs in use come from, hidden or not."""

    hidden: tuple[str, ...]
    inner: tuple[str, ...]
    shown: tuple[str, ...]
    masked: tuple[str, ...]
    writable: tuple[str, ...]
    home: str
    caches: tuple[str, ...]
    toolchain: tuple[str, ...]
    user_homes: tuple[str, ...]


def plan(
    root: str, environ: Mapping[str, str], own: Iterable[str], readable: Iterable[str], program: str = ""
) -> Layout:
    """`root`: the repository, which is laid out separately. `own`: coder's directories, never shown.
    `readable`: what the user's configuration shows beside the toolchain. `program`: what is to run."""
    homes = _homes(environ)
    places = {os.path.realpath(path) for path in (*_PRIVATE, *homes, *own) if os.path.isdir(path)} - {"/", root}
    inner = _outermost(path for path in places if is_below(path, root))
    hidden = _outermost(path for path in places if not is_below(path, root))
    allowed = tuple(os.path.realpath(os.path.join(homes[0], path.removeprefix("~/"))) for path in readable)
    wanted = {*_toolchain(environ, homes, root, program), *allowed}
    toolchain = [
        path
        for path in wanted
        if not is_in(path, root) and not any(is_in(place, path) for place in places) and os.path.exists(path)
    ]
    shown = _outermost(path for path in toolchain if any(is_below(path, place) for place in hidden))
    secrets = [*_MASKED_FILES, *(f"{home}/{name}" for home in homes for name in _HOME_SECRETS), *_host_sockets()]
    masked = [
        path
        for path in map(os.path.realpath, secrets)
        if os.path.exists(path)
        and _is_visible(path, hidden, (*shown, root))
        and not any(is_in(path, top) for top in allowed)
    ]
    ours = any(is_in(homes[0], place) for place in (*hidden, *inner)) and homes[0] != root
    home = homes[0] if ours else "/tmp/home"
    writable = tuple(path for path in ("/tmp", "/var/tmp", "/run", home) if path == home or path in hidden)
    return Layout(
        hidden,
        inner,
        shown,
        tuple(dict.fromkeys(masked)),
        writable,
        home,
        tuple(path for path in shown if path in {f"{top}/{name}" for top in homes for name in _HOME_CACHES}),
        _outermost(path for path in toolchain if path != "/"),
        tuple(homes),
    )


def readable(seen: Layout, masked_too: Iterable[str] = ()) -> list[str]:
    """What a command may read where reading goes by an allow-list: the system, the toolchain, without what is
    masked. Directories that hold something masked are given entry by entry."""
    masked = {*seen.masked, *masked_too}
    paths = [path for path in (*_SYSTEM, *seen.toolchain) if os.path.exists(path)]
    return [part for path in paths for part in _without(os.path.realpath(path), masked)]


def _without(path: str, masked: set[str]) -> list[str]:
    if path in masked:
        return []
    if not any(is_below(other, path) for other in masked):
        return [path]
    try:
        names = os.listdir(path)
    except OSError:
        return []
    return [part for name in names for part in _without(os.path.join(path, name), masked)]


def default_homes(seen: Layout) -> dict[str, str]:
    """Variables that lead toolchains to where they are when HOME is a fresh directory elsewhere."""
    return {
        variable: f"{home}/{name}"
        for home in reversed(seen.user_homes)
        for variable, name in _HOME_VARIABLES
        if os.path.isdir(f"{home}/{name}")
    }


def is_in(path: str, directory: str) -> bool:
    return path == directory or is_below(path, directory)


def is_below(path: str, directory: str) -> bool:
    return path.startswith(directory.rstrip("/") + "/") and path != directory


def _outermost(paths: Iterable[str]) -> tuple[str, ...]:
    kept: list[str] = []
    for path in sorted(set(paths)):
        if not any(is_below(path, other) for other in kept):
            kept.append(path)
    return tuple(kept)


def _is_visible(path: str, hidden: Iterable[str], shown: Iterable[str]) -> bool:
    return not any(is_in(path, place) for place in hidden) or any(is_in(path, top) for top in shown)


def _homes(environ: Mapping[str, str]) -> list[str]:
    """The home directories of this user, the one in force first; never the root directory."""
    try:
        recorded = pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        recorded = ""
    homes = [os.path.realpath(home) for home in (environ.get("HOME", ""), recorded) if home.startswith("/")]
    return [home for home in dict.fromkeys(homes) if home != "/"] or ["/nonexistent"]


def _toolchain(environ: Mapping[str, str], homes: list[str], root: str, program: str) -> set[str]:
    """Every directory that the programs in use come from, both as named and as their links resolve."""
    found = {environ[name] for name in TOOLCHAIN_VARIABLES if environ.get(name, "").startswith("/")}
    found |= {f"{home}/{name}" for home in homes for name in _HOME_TOOLCHAINS}
    found |= {sys.prefix, sys.base_prefix, sys.exec_prefix}
    found |= set(_linked_dependencies(root))
    directories = list(dict.fromkeys(path for path in environ.get("PATH", "").split(":") if path.startswith("/")))
    for directory in directories:
        found |= {directory, _prefix(directory, homes)}
    programs = [f"{base}/bin/python" for base in (sys.prefix, f"{root}/.venv", f"{root}/venv")]
    programs += [program] if program.startswith("/") else []
    programs += [f"{directory}/{name}" for name in (*_USUAL_PROGRAMS, program or "true") for directory in directories]
    for path in programs:
        hops = _links(path)
        if not is_in(path, root) or _leads_to_its_like(path):  # a repository's links are not taken at their word
            found |= {_prefix(os.path.dirname(hop), homes) for hop in hops}
    there = [path for path in found if os.path.exists(path)]
    return {text for path in there for text in (os.path.normpath(path), os.path.realpath(path))}


def _linked_dependencies(root: str) -> list[str]:
    """Where the repository's environment and modules lie when they are links: only what is such a directory indeed,
    for a link could name any place of the user's."""
    places = {name: os.path.realpath(f"{root}/{name}") for name in (".venv", "venv", "node_modules")}
    return [
        path
        for name, path in places.items()
        if (os.path.basename(path) == name if name == "node_modules" else os.path.isfile(f"{path}/pyvenv.cfg"))
    ]


def _leads_to_its_like(path: str) -> bool:
    """Whether a link ends at a program of about the same name, as that of an environment to its interpreter."""
    target = os.path.realpath(path)
    stem = os.path.basename(path).rstrip("0123456789.")
    return bool(stem) and os.path.basename(target).startswith(stem) and os.access(target, os.X_OK)


def _links(path: str) -> list[str]:
    """`path` and what it points to, link by link; empty where it is no link: then its directory says it all."""
    hops = []
    for _ in range(8):
        try:
            target = os.readlink(path)
        except OSError:
            break
        path = os.path.normpath(os.path.join(os.path.dirname(path), target))
        hops.append(path)
    return [*hops, os.path.realpath(path)] if hops else []


def _prefix(directory: str, homes: list[str]) -> str:
    """The installation that a directory of programs belongs to: its parent, unless that is somebody's home."""
    parent, name = os.path.split(directory)
    mixed = parent in homes or os.path.realpath(parent) in homes or os.path.basename(parent) in (".local", "")
    return parent if name in _PROGRAM_DIRECTORIES and not mixed else directory


def _host_sockets() -> list[str]:
    """Sockets of the machine's services that have a path: a read-only mount does not keep anyone from connecting."""
    try:
        with open("/proc/net/unix", encoding="utf-8", errors="surrogateescape") as file:
            paths = {line.rstrip("\n").partition(" /")[2] for line in file}
    except OSError:
        return []
    return sorted(f"/{path}" for path in paths if path)
