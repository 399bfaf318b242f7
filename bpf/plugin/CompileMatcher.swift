import Foundation
import PackagePlugin

/// Compiles bpf/bypass.bpf.c with the toolchain's clang and embeds the object, as base64 in a `StaticString`, into the
/// target: the daemon carries its matcher with it, and nothing has to be installed beside the binary.
@main
struct CompileMatcher: BuildToolPlugin {
    func createBuildCommands(context: PluginContext, target: any Target) throws -> [Command] {
        let bpf = context.package.directoryURL.appending(path: "bpf")
        let source = bpf.appending(path: "bypass.bpf.c")
        let headers = ["include/bypass_abi.h", "connection.bpf.h", "sender.bpf.h"].map { bpf.appending(path: $0) }
        let object = context.pluginWorkDirectoryURL.appending(path: "bypass.bpf.o")
        let output = context.pluginWorkDirectoryURL.appending(path: "MatcherImage.swift")
        let clang = try context.tool(named: "clang").url
        // -mcpu=v2: kernel 5.10 takes no later instruction set. The debug sections go, BTF stays: CO-RE needs it.
        let script = """
            set -eu
            arch=$(uname -m)
            "$1" -O2 -g -target bpf -mcpu=v2 -Wall -Werror -I"$2/include" -I"/usr/include/$arch-linux-gnu" -c "$3" -o "$4"
            "${1%clang}llvm-objcopy" --strip-debug "$4"
            {
                echo '/// The compiled matcher, an ELF object in base64, made from bpf/bypass.bpf.c by its build plugin.'
                printf 'let matcherImageBase64: StaticString = "%s"\\n' "$(base64 -w 0 "$4")"
            } > "$5"
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
