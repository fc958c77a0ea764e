"""A service whose memory is hidden still reads what it needs of itself, as an ordinary user too."""

import subprocess
import sys


def test_a_hidden_process_reads_its_own_descriptors_and_mounts() -> None:
    program = (
        "import os\n"
        "from tagify.sandbox import SharedBuffer\n"
        "from tagify.sandbox.confinement import hide_memory\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "hide_memory()\n"
        "with SharedBuffer.from_bytes(b'bytes') as buffer:\n"
        "    print(os.read(buffer.open_reader(), 9).decode())\n"
        "print(len(open('/proc/self/mountinfo').read()) > 0, bool(os.readlink('/proc/self/ns/pid')))\n"
        "print(len(os.listdir('/proc/self/fd')) > 2, len(open(f'/proc/{os.getpid()}/stat').read()) > 0)\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["bytes", "True", "True", "True", "True"]
