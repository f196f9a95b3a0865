import FoundationEssentials
import Policies

extension Command.Option {
  static let core = Command.Option(name: "--core", value: "URL", help: "the Core's URL, such as http://127.0.0.1:5001")
  /// Where the Core's key is; exactly one of them is required.
  static let keys = [
    Command.Option(
      name: "--key-env", value: "NAME", help: "the gateway's environment variable with the Core's X-Blnk-Key"),
    Command.Option(name: "--key-file", value: "FILE", help: "the file with the Core's X-Blnk-Key"),
    Command.Option(
      name: "--key-credential", value: "NAME",
      help: "the systemd credential (LoadCredential=) with the Core's X-Blnk-Key"),
  ]
  static let keysUsage = "(--key-env NAME | --key-file FILE | --key-credential NAME)"
}

extension Arguments {
  /// Where the Core's key is; nil: no option names it. Fails if several do.
  func key(of command: String) throws(CommandFault) -> KeyReference? {
    let keys = [
      value("--key-env").map(KeyReference.environment), value("--key-file").map { .file(absolutePath($0)) },
      value("--key-credential").map(KeyReference.credential),
    ].compactMap(\.self)
    guard keys.count < 2 else {
      throw .usage("\(command): give only one of --key-env, --key-file and --key-credential; see --help")
    }
    return keys.first
  }

  /// The value of `--core`, which is a valid URL; nil: it is not given.
  func core(of command: String) throws(CommandFault) -> String? {
    guard let text = value("--core") else { return nil }
    if let fault = coreFault(text) { throw .usage("\(command): --core \(fault)") }
    return text
  }
}

/// Why a text is not a Core's URL; nil: it is one.
func coreFault(_ text: String) -> String? {
  do throws(InstanceURL.Fault) {
    _ = try InstanceURL(text)
    return nil
  } catch {
    return error.message
  }
}

/// The gateway reads a relative path from the policy folder, but a command's user means the working directory.
func absolutePath(_ path: String) -> String {
  path.hasPrefix("/") ? path : "\(FileManager.default.currentDirectoryPath)/\(path)"
}
