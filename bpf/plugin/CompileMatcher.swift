import Foundation
import PackagePlugin

/// Compiles bpf/bypass.bpf.c with the toolchain's clang, for kernels with typed pointers and for those without, and embeds
/// the two objects, as base64 in a `StaticString`, into the target: the daemon carries its matcher with it, and nothing has
/// to be installed beside the binary.
@main
struct CompileMatcher: BuildToolPlugin {
    func createBuildCommands(context: PluginContext, target: any Target) throws -> [Command] {
        let bpf = context.package.directoryURL.appending(path: "bpf")
        let source = bpf.appending(path: "bypass.bpf.c")
        let headers = ["include/bypass_abi.h", "kernel.bpf.h", "connection.bpf.h", "sender.bpf.h"].map {
            bpf.appending(path: $0)
        }
        let object = context.pluginWorkDirectoryURL.appending(path: "bypass.bpf")
        let output = context.pluginWorkDirectoryURL.appending(path: "MatcherImage.swift")
        let clang = try context.tool(named: "clang").url
        // -mcpu=v2: kernel 5.10 takes no later instruction set. The debug sections go, BTF stays: CO-RE needs it.
        let script = """
            set -eu
            arch=$(uname -m) clang=$1 bpf=$2 source=$3 object=$4 output=$5
            compile() {
                "$clang" -O2 -g -target bpf -mcpu=v2 -Wall -Werror -I"$bpf/include" -I"/usr/include/$arch-linux-gnu" \\
                    $2 -c "$source" -o "$object.$1.o"
                "${clang%clang}llvm-objcopy" --strip-debug "$object.$1.o"
                printf 'let %sMatcherImage: StaticString = "%s"\\n' "$1" "$(base64 -w 0 "$object.$1.o")"
            }
            {
                echo '// The compiled matcher, two ELF objects in base64, made from bpf/bypass.bpf.c by its build plugin.'
                compile typed -DBYPASS_TYPED_POINTERS
                compile portable ""
            } > "$output"
            """
        return [
            .buildCommand(
                displayName: "Compiling bpf/bypass.bpf.c",
                executable: URL(filePath: "/bin/sh"),
                arguments: ["-c", script, "sh", clang.path(), bpf.path(), source.path(), object.path(), output.path()],
                inputFiles: [source] + headers,
                outputFiles: [output])
        ]
    }
}
