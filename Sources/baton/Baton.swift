package import ArgumentParser
import BatonRuntime

@main
package struct Baton: AsyncParsableCommand {
  package static let configuration = CommandConfiguration(
    commandName: "baton",
    abstract: "Serves language models with prefill and decode in different processes.",
    discussion: """
      baton up starts a whole fleet on this machine, with a small model inside:

        baton up
        baton up --model /models/TinyLlama-1.1B --prefill 2 --decode 1 --handoff copy

      The other commands each start one service of a fleet, for example under systemd:

        baton prefill --listen 127.0.0.1:8101 --model /models/TinyLlama-1.1B
        baton decode --listen 127.0.0.1:8102 --model /models/TinyLlama-1.1B
        baton proxy --prefill-address 127.0.0.1:8101 --decode-address 127.0.0.1:8102

      Each setting is taken from its flag, else from its environment variable, else from the \
      file that --config names, else from its default.
      """,
    version: BatonVersion.current,
    subcommands: [
      UpCommand.self, PrefillCommand.self, DecodeCommand.self, HybridCommand.self,
      ProxyCommand.self, GenerateCommand.self, WireCommand.self, DoctorCommand.self,
      BenchCommand.self,
    ])

  package init() {}
}
