import Digests
import FoundationEssentials
import Policies
import System

extension Command {
  static let initialize = Command(
    name: "init", summary: "write a policy folder for one Core, with one client and its token",
    usage: "DIR --core URL \(Option.keysUsage) [OPTIONS]",
    description: """
      Writes DIR/instances.json and DIR/clients.json: one instance, which is the Core,
      and one client, which may read and write there without naming it. Creates the
      folder if it is missing, and validates it as "check" does. Overwrites nothing: a
      folder that has policy files is left alone.

      On a terminal, asks for what is missing: the Core's URL, where its key is, and
      the client's name. The key itself is never asked for: the policy only names the
      variable, file or credential that holds it.

      Prints the client's token on standard output, once: the files contain only its
      SHA-256. Prints the next command on standard error.
      """,
    options: [.core] + Option.keys + [
      Option(name: "--instance", value: "ID", help: "the instance's name (default: main)"),
      Option(name: "--client", value: "ID", help: "the client's name (default: app)"),
    ],
    exitCodes: [0: "success", 1: "nothing was written"],
    example: """
      export BLNK_KEY=the-core-key
      blnk-gateway init my-policies --core http://127.0.0.1:5001 --key-env BLNK_KEY
      blnk-gateway serve --policies my-policies
      """,
    takesOperands: true
  ) { arguments throws(CommandFault) in
    let folder = PolicyFolder(
      path: try arguments.onlyOperand("DIR", of: "init"), environment: ProcessInfo.processInfo.environment)
    let answers = try FirstAnswers(arguments, folder)
    let token = Token.mint()
    let name = answers.instance.text
    let instance = NewEntry.instance(answers.instance, url: answers.core, key: answers.key)
    let client = NewEntry.client(
      answers.client, scopes: ["proxy:read", "proxy:write"], instances: [name], defaultInstance: answers.instance,
      token: NewToken(token.digest, expiry: nil, note: "made by init"))
    try FirstFiles(folder, answers.key).write(["instances.json": instance.file, "clients.json": client.file])
    try Console.print(token.text)
    Console.log(
      "The token of client \"\(answers.client.text)\", shown only this once. It calls \(answers.core) as instance "
        + "\"\(name)\".\nNext: blnk-gateway serve --policies \(folder.path.shellQuoted)")
    return 0
  }
}

/// What the first policy of a folder says: from options or, on a terminal, from questions.
private struct FirstAnswers {
  private static let attemptsMax = 3

  let core: String
  let key: KeyReference
  let instance: InstanceID
  let client: ClientID

  init(_ arguments: Arguments, _ folder: PolicyFolder) throws(CommandFault) {
    let instanceName = arguments.value("--instance") ?? "main"
    guard let instance = InstanceID(instanceName) else {
      throw .usage("init: --instance \(instanceName): \(nameRule)")
    }
    self.instance = instance
    let clientName = arguments.value("--client")
    if let clientName, ClientID(clientName) == nil { throw .usage("init: --client \(clientName): \(nameRule)") }
    let (core, key) = (try arguments.core(of: "init"), try arguments.key(of: "init"))
    if let fault = key?.faultAtInit(in: folder) { throw .failed("init: the key: \(fault); nothing was written") }
    let missing = [
      core == nil ? "--core URL" : nil, key == nil ? "one of --key-env, --key-file and --key-credential" : nil,
    ].compactMap(\.self)
    let asks = !missing.isEmpty
    // Questions go to standard error.
    guard !asks || Terminal.isAt(0) && Terminal.isAt(2) else {
      throw .usage("init: missing \(missing.joined(separator: ", and ")); see --help")
    }
    // Before the questions, so that no answers are given for nothing.
    if asks { try FirstFiles.requireNone(in: folder) }
    self.core =
      if let core { core } else {
        try Self.ask("The Core's URL", default: "http://127.0.0.1:5001") { text in
          coreFault(text).map { .rejected("the URL \($0)") } ?? .accepted(text)
        }
      }
    self.key =
      if let key { key } else {
        try Self.ask("Where its key is: env:NAME, file:PATH or credential:NAME", default: "env:BLNK_KEY") { text in
          // Does not repeat the text, which may be the key itself by mistake.
          guard let key = KeyReference(text)?.absolute else {
            return .rejected("must be env:NAME, file:PATH or credential:NAME, never the key itself")
          }
          return key.faultAtInit(in: folder).map { .rejected($0) } ?? .accepted(key)
        }
      }
    let named = clientName ?? (asks ? nil : "app")
    self.client =
      if let known = named.flatMap(ClientID.init) { known } else {
        try Self.ask("The client's name", default: "app") { text in
          ClientID(text).map { .accepted($0) } ?? .rejected("a client name \(nameRule)")
        }
      }
  }

  private enum Verdict<Value> {
    case accepted(Value)
    case rejected(String)
  }

  /// Asks until the answer is valid; an empty one is the default.
  private static func ask<Value>(
    _ question: String, default byDefault: String, _ judge: (String) -> Verdict<Value>
  ) throws(CommandFault) -> Value {
    for _ in 0..<attemptsMax {
      guard let line = Console.ask("\(question) [\(byDefault)]: ") else {
        // The terminal does not show Ctrl-D: ends the line of the question.
        Console.log("")
        throw .failed("init: the input ended before all questions were answered; nothing was written")
      }
      let answer = line.trimmingSpaces
      switch judge(answer.isEmpty ? byDefault : answer) {
      case .accepted(let value): return value
      case .rejected(let reason): Console.log("  \(reason)")
      }
    }
    throw .failed("init: no valid answer in \(attemptsMax) attempts; nothing was written; see --help")
  }
}

extension String {
  fileprivate var trimmingSpaces: String {
    let isSpace: (Character) -> Bool = { $0 == " " || $0 == "\t" || $0 == "\r" }
    return String(drop(while: isSpace).reversed().drop(while: isSpace).reversed())
  }
}

extension KeyReference {
  /// The same key for a reader in another folder.
  fileprivate var absolute: KeyReference {
    if case .file(let path) = self, !path.isEmpty { .file(absolutePath(path)) } else { self }
  }

  /// As `fault(in:)`. Only the service has credentials, so that elsewhere only their names can be checked.
  fileprivate func faultAtInit(in folder: PolicyFolder) -> String? {
    var folder = folder
    folder.readsKeys = canBeRead(in: folder)
    return fault(in: folder)
  }

  fileprivate func canBeRead(in folder: PolicyFolder) -> Bool {
    if case .credential = self { folder.environment["CREDENTIALS_DIRECTORY"] != nil } else { true }
  }
}

/// The files of a folder that has none yet.
private struct FirstFiles {
  private let folder: PolicyFolder

  init(_ folder: PolicyFolder, _ key: KeyReference) {
    var folder = folder
    folder.readsKeys = key.canBeRead(in: folder)
    self.folder = folder
  }

  static func requireNone(in folder: PolicyFolder) throws(CommandFault) {
    let names = [
      "clients", "clients.json", "gateway.json", "instances", "instances.json", "revoked.json", "routes.json",
    ]
    for name in names where FileManager.default.fileExists(atPath: "\(folder.path)/\(name)") {
      throw .failed("init: \(folder.path) already has \(name); nothing was written; name another folder")
    }
  }

  /// Writes the files and validates the folder. After a fault, removes what it wrote.
  func write(_ files: [String: [UInt8]]) throws(CommandFault) {
    let manager = FileManager.default
    let isNew = !manager.fileExists(atPath: folder.path)
    try Self.requireNone(in: folder)
    let lock = try createdAndLocked()
    // Another command may have written files meanwhile.
    try Self.requireNone(in: folder)
    func removeAll() {
      for name in files.keys { try? manager.removeItem(atPath: "\(folder.path)/\(name)") }
      if isNew { try? manager.removeItem(atPath: folder.path) }
    }
    do throws(Errno) {
      for (name, text) in files { try FileReplacement("\(folder.path)/\(name)").write(text) }
    } catch {
      removeAll()
      throw .failed("init: cannot write \(folder.path): \(error)")
    }
    let findings = Policy.load(folder, now: .now).findings
    for line in findings.lines { Console.log(line) }
    if findings.contains(where: { $0.severity == .error }) {
      removeAll()
      throw .failed("init: the policy would be invalid; nothing was written")
    }
    _ = consume lock
  }

  private func createdAndLocked() throws(CommandFault) -> FolderLock {
    do {
      try FileManager.default.createDirectory(atPath: folder.path, withIntermediateDirectories: true)
    } catch {
      throw .failed(
        "init: cannot create the folder \(folder.path); check the permissions of the folder that contains it")
    }
    do throws(Errno) {
      return try FolderLock(folder.path, waitingMilliseconds: 5_000)
    } catch {
      let reason = error == .wouldBlock ? "another command is editing this folder; try again" : "\(error)"
      throw .failed("init: \(folder.path): \(reason)")
    }
  }
}
