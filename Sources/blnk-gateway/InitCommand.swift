import Digests
import FoundationEssentials
import Policies
import System

extension Command {
  static let initialize = Command(
    name: "init", summary: "write a policy folder for one Core, with one client and its token",
    usage: "--core URL (--key-env NAME | --key-file FILE) [--policies DIR]",
    description: """
      Writes instances.json and clients.json: the instance "main" is the Core, and the
      client "app" may read and write there without naming it. Creates the folder if
      it is missing, and validates it as "check" does. Overwrites nothing: a folder
      that has policy files is left alone.

      Prints the client's token on standard output, once: the files contain only its
      SHA-256. Prints the next command on standard error.
      """,
    options: [
      Option(name: "--core", value: "URL", help: "the Core's URL, such as http://127.0.0.1:5001"),
      Option(name: "--key-env", value: "NAME", help: "the environment variable with the Core's X-Blnk-Key"),
      Option(name: "--key-file", value: "FILE", help: "the file with the Core's X-Blnk-Key"),
      .policies,
    ],
    exitCodes: [0: "success", 1: "nothing was written"],
    example: """
      export BLNK_KEY=the-core-key
      blnk-gateway init --core http://127.0.0.1:5001 --key-env BLNK_KEY --policies my-policies
      blnk-gateway serve --policies my-policies
      """
  ) { arguments throws(CommandFault) in
    guard let core = arguments.value("--core") else { throw .usage("init: --core URL is required; see --help") }
    let key = try key(arguments)
    let folder = try PolicyFolder(arguments)
    var generator = SystemRandomNumberGenerator()
    let token = Token.mint(using: &generator)
    let files = [
      "instances.json": """
      {
        "instances": {
          "main": { "url": \(jsonString(core)), "key": \(key) }
        }
      }

      """,
      "clients.json": """
      {
        "clients": {
          "app": {
            "scopes": ["proxy:read", "proxy:write"],
            "instances": ["main"],
            "default_instance": "main",
            "tokens": [
              { "sha256": "\(token.digest.hex)", "note": "made by init" }
            ]
          }
        }
      }

      """,
    ]
    try write(files, to: folder)
    try Console.print(token.text)
    Console.log(
      "The token of client \"app\", shown only this once. It calls \(core) as instance \"main\".\n"
        + "Next: blnk-gateway serve --policies \(folder.path.shellQuoted)")
    return 0
  }

  /// The value of "key" in instances.json.
  private static func key(_ arguments: Arguments) throws(CommandFault) -> String {
    switch (arguments.value("--key-env"), arguments.value("--key-file")) {
    case (let name?, nil): return "{ \"env\": \(jsonString(name)) }"
    case (nil, let file?):
      // The gateway reads a relative path from the policy folder, but this command's user means the working directory.
      let isAbsolute = file.hasPrefix("/")
      return "{ \"file\": \(jsonString(isAbsolute ? file : FileManager.default.currentDirectoryPath + "/" + file)) }"
    case (nil, nil), (_?, _?): throw .usage("init: needs either --key-env NAME or --key-file FILE; see --help")
    }
  }

  /// Writes the files and validates the folder. After a fault, removes what it wrote.
  private static func write(_ files: [String: String], to folder: PolicyFolder) throws(CommandFault) {
    let manager = FileManager.default
    let isNew = !manager.fileExists(atPath: folder.path)
    let policyNames = Array(files.keys) + ["gateway.json", "routes.json", "revoked.json", "instances", "clients"]
    for name in policyNames.sorted() where manager.fileExists(atPath: "\(folder.path)/\(name)") {
      throw .failed(
        "init: \(folder.path) already has \(name); nothing was written; name another folder with --policies")
    }
    func removeAll() {
      for name in files.keys { try? manager.removeItem(atPath: "\(folder.path)/\(name)") }
      if isNew { try? manager.removeItem(atPath: folder.path) }
    }
    do {
      try manager.createDirectory(atPath: folder.path, withIntermediateDirectories: true)
      for (name, text) in files { try FileReplacement("\(folder.path)/\(name)").write(Array(text.utf8)) }
    } catch {
      removeAll()
      throw .failed("init: cannot write \(folder.path): \(error)")
    }
    let findings = folder.load().findings
    for line in findings.lines { Console.log(line) }
    guard findings.contains(where: { $0.severity == .error }) else { return }
    removeAll()
    throw .failed("init: the policy would be invalid; nothing was written")
  }
}
