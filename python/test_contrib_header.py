"""contrib/memtrace.h: whatever the compiler is told, the marker is there and cheap to probe.

Needs gcc, objdump and nm; g++, clang and a static C library are used where they are.
"""

import os
import re
import shutil
import subprocess
import tempfile
import unittest

CONTRIB = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "contrib")
STRICT = ["-Wall", "-Wextra", "-Werror", "-pedantic"]
ARM64 = re.match(r"aarch64|arm64", os.uname().machine) is not None
NOP = b"\x1f\x20\x03\xd5" if ARM64 else b"\x90"
LANDING = b"\x5f\x24\x03\xd5" if ARM64 else b"\xf3\x0f\x1e\xfa"  # bti c, endbr64
PROTECT = "-mbranch-protection=bti" if ARM64 else "-fcf-protection=full"

FIRST = """
#include "memtrace.h"
void second(void);
int main(void)
{
    memtrace_checkpoint("first", NULL);
    memtrace_checkpointf("third", "%d symbols", 42);
    second();
    return 0;
}
"""
SECOND = """
#include "memtrace.h"
void second(void);
void second(void) { memtrace_checkpoint("second", "details"); }
"""


@unittest.skipUnless(all(map(shutil.which, ("gcc", "objdump", "nm"))),
                     "gcc, objdump and nm are needed: apt-get install gcc binutils")
class Header(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        for name, text in (("first.c", FIRST), ("second.c", SECOND)):
            with open(os.path.join(self.folder, name), "w") as source:
                source.write(text)

    def run_tool(self, *command):
        done = subprocess.run(command, cwd=self.folder, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, universal_newlines=True)
        self.assertEqual(done.returncode, 0, "%s\n%s" % (" ".join(command), done.stdout))
        return done.stdout

    def build(self, output, compiler, options, sources=("first.c", "second.c")):
        self.run_tool(compiler, "-I", CONTRIB, *STRICT, *options, *sources, "-o", output)
        return os.path.join(self.folder, output)

    def first_bytes(self, binary):
        """The marker's machine code, as objdump shows it."""
        # The whole listing: asked for one symbol of a stripped library, objdump shows another.
        listing = self.run_tool("objdump", "-d", binary)
        listing = listing.split("\n\n")
        listing = [block for block in listing if "<memtrace_checkpoint>:\n" in block][0]
        code = re.findall(r"^\s+[0-9a-f]+:\t((?:[0-9a-f]{2,8} ?)+)", listing, re.MULTILINE)
        words = "".join(code).split()
        # arm64: whole words, the other way round
        return b"".join(bytes.fromhex(word)[::-1 if ARM64 else 1] for word in words)

    def check_marker(self, binary, options, dynamic=False):
        symbols = self.run_tool("nm", *(["-D"] if dynamic else []), binary)
        found = [line for line in symbols.splitlines() if line.endswith(" memtrace_checkpoint")]
        self.assertEqual(len(found), 1, "%s: no single marker in\n%s" % (options, symbols))
        code = self.first_bytes(binary)
        if code.startswith(LANDING):
            code = code[len(LANDING):]
        self.assertTrue(code.startswith(NOP), "%s: begins with %s" % (options, code[:8].hex()))

    def test_executables_hold_one_marker_that_begins_with_a_nop(self):
        for options in (["-std=c99", "-O0"], ["-O2"], ["-O2", "-flto"], ["-O3", PROTECT],
                        ["-O3", PROTECT, "-flto"], ["-O2", "-no-pie"],
                        ["-Os", "-ffunction-sections", "-Wl,--gc-sections"],
                        ["-O2", "-fvisibility=hidden"]):
            with self.subTest(options=options):
                binary = self.build("program", "gcc", options)
                self.run_tool(binary)
                self.check_marker(binary, options)

    def test_a_static_executable_holds_it_too(self):
        probe = subprocess.run(["gcc", "-static", "-x", "c", "-", "-o", os.devnull],
                               input=b"int main(void){return 0;}", stderr=subprocess.DEVNULL)
        if probe.returncode != 0:
            self.skipTest("no static C library: apt-get install libc6-dev")
        binary = self.build("program", "gcc", ["-O2", "-static"])
        self.run_tool(binary)
        self.check_marker(binary, "-static")

    def test_a_library_exports_it_although_the_rest_is_hidden_and_stripped(self):
        for options in (["-O2"], ["-O2", "-flto", PROTECT]):
            with self.subTest(options=options):
                library = self.build(
                    "library.so", "gcc", options + ["-shared", "-fPIC", "-fvisibility=hidden"],
                    ["second.c"])
                self.check_marker(library, options, dynamic=True)
                self.run_tool("strip", library)
                self.check_marker(library, options, dynamic=True)

    @unittest.skipUnless(shutil.which("g++"), "no g++: apt-get install g++")
    def test_cpp_takes_it_and_gives_it_its_c_name(self):
        for standard in ("c++11", "c++17", "c++20"):
            with self.subTest(standard=standard):
                options = ["-x", "c++", "-std=" + standard, "-O2"]
                binary = self.build("program", "g++", options)
                self.run_tool(binary)
                self.check_marker(binary, options)

    def test_both_arguments_are_in_their_registers_at_the_call(self):
        """gcc -O3 -flto may drop an argument that nobody reads; the probe does read it."""
        binary = self.build("program", "gcc", ["-O3", "-flto"])
        listing = self.run_tool("objdump", "-d", "--no-show-raw-insn", binary)
        before_call = listing.split("<memtrace_checkpoint>\n")[0].splitlines()[-4:]
        register = r"\bx1\b" if ARM64 else r"%(?:rsi|esi)\b"
        self.assertRegex("\n".join(before_call), register)

    @unittest.skipUnless(shutil.which("clang"), "no clang: apt-get install clang")
    def test_clang_takes_it(self):
        for options in (["-O2"], ["-O0"], ["-O2", PROTECT]):
            with self.subTest(options=options):
                binary = self.build("program", "clang", options)
                self.check_marker(binary, options)


if __name__ == "__main__":
    unittest.main()
