"""What pure code must not reach for: one table, by the real object's module and name, whatever it is called locally."""

from __future__ import annotations

import types
from enum import Enum
from typing import Protocol

import attrs

from procession.primitives.gateway import Gateway
from procession.primitives.projector import Projector


@attrs.frozen
class Forbidden:
    """One kind of impurity."""

    code: str
    does: str
    """What reaching for it means, after the name of the handler: `reads the clock`."""
    cure: str
    certain: bool = True
    """A runtime refuses to open with it. What is not certain is reported by the check only."""


_ON_THE_EVENT = "put what is needed on the event"
_IN_A_GATEWAY = "yield a command, and do it in a gateway"

CLOCK = Forbidden(
    "LAW03", "reads the clock", "put the time on the event, take an `Envelope` for when it came, or yield `after(...)`"
)
CHANCE = Forbidden("LAW03", "draws by chance", f"{_ON_THE_EVENT}, or derive it from what is there: random.Random(seed)")
ENVIRONMENT = Forbidden("LAW03", "reads the environment", f"{_ON_THE_EVENT}, or make it a constant of the module")
ADDRESS = Forbidden("LAW03", "asks for an address in memory", "compare with == or by a key of your own")
HASHES = Forbidden(
    "LAW03",
    "depends on the hash seed",
    "use hashlib, zlib.crc32 or the value itself: the seed is another in each run",
    certain=False,
)
ORDER = Forbidden("LAW03", "depends on the order of a set", "sort it first: sorted(...)", certain=False)
TEXT = Forbidden("LAW03", "runs text as code", "write the code")
AMBIENT = Forbidden("LAW03", "reads a variable of its surroundings", _ON_THE_EVENT)
CHANGES = Forbidden("LAW03", "changes what outlives the turn", "keep it in the state of the flow, and fold it there")
DRAWS = Forbidden("LAW03", "draws from an iterator that outlives the turn", "count in the state of the flow")
FILES = Forbidden("LAW04", "uses files", _IN_A_GATEWAY)
NETWORK = Forbidden("LAW04", "uses the network", _IN_A_GATEWAY)
STORE = Forbidden("LAW04", "uses a database", _IN_A_GATEWAY)
PROGRAMS = Forbidden("LAW04", "works on the system", _IN_A_GATEWAY)
THREADS = Forbidden("LAW04", "starts or meets a thread", _IN_A_GATEWAY)
WAITING = Forbidden("LAW04", "waits", "yield `after(...)` for a deadline, or a command for work")
IMPORTS = Forbidden("LAW04", "imports", "import it at the top of the module", certain=False)
LOADS = Forbidden("LAW04", "imports", "import it at the top of the module")
OUTPUT = Forbidden(
    "LAW04", "writes output", "each step is in the journal: `procession show`; or yield a command", certain=False
)
GATEWAYS = Forbidden("LAW04", "reaches for a gateway", "yield a command: the runtime takes it there")
PROJECTIONS = Forbidden(
    "LAW07", "reaches for a projection", "a flow is fed by events only: keep what it needs in its own state"
)
QUERIES = Forbidden("LAW07", "reaches for the runtime", "a flow is fed by events only: what it must know comes as one")


_OS_ENVIRONMENT = (
    "environ environb getcwd getcwdb getenv getenvb getlogin getpgid getpgrp getpid getppid getuid geteuid getgid "
    "getegid cpu_count process_cpu_count sched_getaffinity getloadavg uname ctermid get_terminal_size"
).split()
_OS_FILES = (
    "access chdir chmod chown close copy_file_range dup fdopen fsync link listdir lstat makedirs mkdir mkfifo "
    "open pipe read readlink remove removedirs rename renames replace rmdir scandir sendfile stat statvfs symlink "
    "sync truncate unlink utime walk write"
).split()
_OS_PURE = "fspath fsencode fsdecode".split()
_PATH_PURE = (
    "basename commonpath commonprefix dirname isabs join normcase normpath split splitdrive splitext splitroot"
).split()
_PATHLIB_WORK = (
    "absolute chmod copy copy_into cwd exists expanduser glob group hardlink_to home is_block_device "
    "is_char_device is_dir is_fifo is_file is_junction is_mount is_socket is_symlink iterdir lchmod lstat mkdir "
    "move open owner read_bytes read_text readlink rename replace resolve rglob rmdir samefile stat symlink_to "
    "touch unlink walk write_bytes write_text"
).split()
_CLOCKS = (
    "time time_ns monotonic monotonic_ns perf_counter perf_counter_ns process_time process_time_ns thread_time "
    "thread_time_ns clock_gettime clock_gettime_ns get_clock_info"
).split()
_SOCKET_PURE = "htonl htons inet_aton inet_ntoa inet_ntop inet_pton ntohl ntohs".split()

_NAMES: dict[str, Forbidden | None] = {
    **{f"time.{name}": CLOCK for name in _CLOCKS},
    "time.sleep": WAITING,
    "datetime.datetime.now": CLOCK,
    "datetime.datetime.today": CLOCK,
    "datetime.datetime.utcnow": CLOCK,
    "datetime.date.today": CLOCK,
    "random.SystemRandom": CHANCE,
    "random.Random.seed": None,
    "uuid.uuid1": CHANCE,
    "uuid.uuid4": CHANCE,
    "uuid.uuid6": CHANCE,
    "uuid.uuid7": CHANCE,
    "uuid.getnode": ENVIRONMENT,
    "os.urandom": CHANCE,
    "os.getrandom": CHANCE,
    "os.times": CLOCK,
    **{f"os.{name}": ENVIRONMENT for name in _OS_ENVIRONMENT},
    **{f"os.{name}": FILES for name in _OS_FILES},
    **dict.fromkeys([f"os.{name}" for name in _OS_PURE]),
    **dict.fromkeys([f"os.path.{name}" for name in _PATH_PURE]),
    "os.path.abspath": ENVIRONMENT,
    "os.path.relpath": ENVIRONMENT,
    "os.path.expanduser": ENVIRONMENT,
    "os.path.expandvars": ENVIRONMENT,
    "os.PathLike": None,
    **{f"pathlib.{cls}.{name}": FILES for cls in ("Path", "PathBase") for name in _PATHLIB_WORK},
    "io.open": FILES,
    "io.FileIO": FILES,
    "io.open_code": FILES,
    **dict.fromkeys([f"socket.{name}" for name in _SOCKET_PURE]),
    "subprocess.list2cmdline": None,
    "asyncio.coroutines.iscoroutinefunction": None,
    "sys.argv": ENVIRONMENT,
    "sys.flags": ENVIRONMENT,
    "sys.path": ENVIRONMENT,
    "sys.modules": ENVIRONMENT,
    "sys._getframe": ENVIRONMENT,
    "sys.stdin": FILES,
    "sys.stdout": OUTPUT,
    "sys.stderr": OUTPUT,
    "gc.get_objects": ENVIRONMENT,
    "inspect.stack": ENVIRONMENT,
    "inspect.currentframe": ENVIRONMENT,
    "builtins.id": ADDRESS,
    "builtins.hash": HASHES,
    "builtins.input": PROGRAMS,
    "builtins.breakpoint": PROGRAMS,
    "builtins.print": OUTPUT,
    "builtins.eval": TEXT,
    "builtins.exec": TEXT,
    "builtins.compile": TEXT,
    "builtins.__import__": LOADS,
    "importlib.import_module": LOADS,
    "importlib._bootstrap.__import__": LOADS,
    "contextvars.ContextVar.get": AMBIENT,
    "contextvars.ContextVar.set": CHANGES,
    "contextvars.copy_context": AMBIENT,
    "logging.getLevelName": None,
}
"""By full name; None is pure where its module as a whole is not."""

_MODULES: dict[str, Forbidden] = {
    "os": PROGRAMS,
    "os.path": FILES,
    "secrets": CHANCE,
    "locale": ENVIRONMENT,
    "platform": ENVIRONMENT,
    "getpass": ENVIRONMENT,
    "sysconfig": ENVIRONMENT,
    **dict.fromkeys(
        ("tempfile", "shutil", "glob", "fileinput", "mmap", "fcntl", "linecache", "zipfile", "tarfile"), FILES
    ),
    **dict.fromkeys(("aiofiles", "importlib.resources", "importlib.metadata", "pkgutil"), FILES),
    **dict.fromkeys(("socket", "ssl", "select", "selectors", "socketserver", "http.client", "http.server"), NETWORK),
    **dict.fromkeys(
        ("urllib.request", "smtplib", "imaplib", "poplib", "ftplib", "telnetlib", "xmlrpc.client"), NETWORK
    ),
    **dict.fromkeys(("requests.api", "requests.sessions", "urllib3", "aiohttp.client", "websockets", "grpc"), NETWORK),
    **dict.fromkeys(("httpx._client", "httpx._api", "httpx.Client", "httpx.AsyncClient", "httpcore"), NETWORK),
    **dict.fromkeys(("boto3", "botocore.client", "pika", "confluent_kafka", "kafka", "paramiko"), NETWORK),
    **dict.fromkeys(("sqlite3", "dbm", "shelve", "aiosqlite", "psycopg", "psycopg2", "asyncpg", "pymongo"), STORE),
    **dict.fromkeys(("redis", "sqlalchemy.engine", "sqlalchemy.orm.session", "django.db", "peewee", "pymysql"), STORE),
    **dict.fromkeys(("subprocess", "signal", "pty", "multiprocessing", "ctypes", "webbrowser", "syslog"), PROGRAMS),
    **dict.fromkeys(("threading", "thread", "concurrent.futures"), THREADS),
    **dict.fromkeys(("asyncio", "trio", "anyio", "curio", "gevent"), WAITING),
    **dict.fromkeys(("logging", "structlog", "loguru", "warnings"), OUTPUT),
    **dict.fromkeys(
        ("procession.facade", "procession.flow_handle", "procession.hosting", "procession.wiring", "procession.engine"),
        QUERIES,
    ),
    **dict.fromkeys(("procession.journal", "procession.daemon", "procession.actors"), QUERIES),
    **dict.fromkeys(("procession.projections", "procession.facades", "procession.asking"), QUERIES),
}
"""By module: every function in it, and every class where it is called, but what `_NAMES` says is pure."""
_HTTPX = ("get", "post", "put", "patch", "delete", "head", "options", "request", "stream")
_NAMES.update({f"httpx.{name}": NETWORK for name in _HTTPX})

_TYPES: dict[str, Forbidden] = {
    "os._Environ": ENVIRONMENT,
    "random.Random": CHANCE,
    "random.SystemRandom": CHANCE,
    "numpy.random.mtrand.RandomState": CHANCE,
    "numpy.random._generator.Generator": CHANCE,
    "threading.local": AMBIENT,
    "thread._local": AMBIENT,
    "thread.lock": THREADS,
    "thread.RLock": THREADS,
    "socket.socket": NETWORK,
    "logging.Logger": OUTPUT,
    "logging.RootLogger": OUTPUT,
    "logging.LoggerAdapter": OUTPUT,
    **dict.fromkeys(("io.TextIOWrapper", "io.BufferedReader", "io.BufferedWriter", "io.FileIO"), FILES),
}
"""By class: an object of it that outlives the turn, wherever a handler finds it."""

UNSEEDED: dict[str, tuple[int, Forbidden]] = {
    "random.Random": (0, CHANCE),
    "time.gmtime": (0, CLOCK),
    "time.localtime": (0, CLOCK),
    "time.ctime": (0, CLOCK),
    "time.asctime": (0, CLOCK),
    "time.strftime": (1, CLOCK),
}
"""Pure with arguments; with no more than so many, not."""

_DESCRIPTORS = (
    types.WrapperDescriptorType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
    types.MethodWrapperType,
)
_RENAMED = {
    "posix": "os",
    "nt": "os",
    "posixpath": "os.path",
    "ntpath": "os.path",
    "genericpath": "os.path",
    "pathlib._local": "pathlib",
    "pathlib._abc": "pathlib",
    "zipfile._path": "zipfile",
}


def full_name(value: object) -> str:
    """Module and name of a function or class, as the table writes it; of a module its name; empty for what has none."""
    if isinstance(value, types.ModuleType):
        return module_name(value.__name__)
    owner = getattr(value, "__objclass__", None) if isinstance(value, _DESCRIPTORS) else None
    if isinstance(value, types.BuiltinMethodType):
        holder = value.__self__
        if isinstance(holder, types.ModuleType):
            return f"{module_name(holder.__name__)}.{value.__name__}"
        owner = holder if isinstance(holder, type) else type(holder)
    if owner is not None:
        return f"{full_name(owner)}.{getattr(value, '__name__', '')}"
    # Any other object is asked nothing: its class may answer by code of the user's.
    if not (isinstance(value, type) or is_callable_object(value)):
        return ""
    return f"{module_name(str(getattr(value, '__module__', '') or ''))}.{getattr(value, '__qualname__', '')}"


def module_name(name: str) -> str:
    """A module as the table writes it: what a library is written in does not matter."""
    return _RENAMED.get(name) or name.removeprefix("_")


class Judge(Protocol):
    """Says what is wrong with reaching for an object."""

    def __call__(self, value: object, /, *, called: bool, path: str) -> Forbidden | None:
        """As `judge`."""


def judge(value: object, /, *, called: bool = False, path: str = "") -> Forbidden | None:
    """What is wrong with reaching for an object; None where nothing is.

    Args:
        value: the real object.
        called: a class that is only named may be anything: a type to compare with.
        path: module and attribute by which it was reached, for what has no name of its own: `sys.argv`.
    """
    if path in _NAMES:
        return _NAMES[path]
    if isinstance(value, type):
        return _judge_class(value) if called else None
    if isinstance(value, Gateway):
        return GATEWAYS
    if isinstance(value, Projector):
        return PROJECTIONS
    if isinstance(value, types.MethodType | types.BuiltinMethodType):
        holder: object = value.__self__
        found = None if isinstance(holder, types.ModuleType | type) else _by_type(holder)
        if found is not None:
            return found
    if is_callable_object(value):
        return _by_name(full_name(value))
    if isinstance(value, types.ModuleType | Enum):
        return None
    return _by_type(value)


def is_callable_object(value: object) -> bool:
    """Whether it is a function or method of any kind, and no object of a class of its own."""
    return isinstance(value, (types.FunctionType, types.MethodType, types.BuiltinFunctionType, *_DESCRIPTORS))


def _by_type(value: object) -> Forbidden | None:
    for cls in type(value).__mro__:
        found = _TYPES.get(full_name(cls))
        if found is not None:
            return found
    if hasattr(type(value), "__next__"):
        return DRAWS
    return None


def _judge_class(cls: type) -> Forbidden | None:
    if issubclass(cls, BaseException | Enum):
        return None
    if issubclass(cls, Gateway):
        return GATEWAYS
    if issubclass(cls, Projector):
        return PROJECTIONS
    for base in cls.__mro__:
        found = _by_name(full_name(base))
        if found is not None:
            return found
    return None


def _by_name(name: str) -> Forbidden | None:
    if name in _NAMES:
        return _NAMES[name]
    module = name
    while module:
        module = module.rpartition(".")[0]
        if module in _MODULES:
            return _MODULES[module]
    return None
