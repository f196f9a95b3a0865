import Digests
import FoundationEssentials
import Gateway
import OAuth
import Policies
import System

extension Command {
  static let tokenScan = Command(
    name: "token scan", summary: "find tokens in logs, code and other files", usage: "[OPTIONS] PATH...",
    description: """
      Reads files, and all files in folders, as bytes; - is standard input. Finds the
      tokens and client secrets that this program makes, by the checksum at their end,
      and those of the token endpoint by their form. Tokens from elsewhere have
      neither, and are not found.

      With a policy folder, it says whose each token is and whether it is in force,
      and verifies those of the token endpoint: a forged one is not reported. Without
      one, it says only what they are.

      Prints one line per occurrence: file and line (or, in a binary file, the offset
      in bytes), the start of the token's digest as in "token list", and its state.
      Never prints a token. "token revoke" ends one.

      Links in folders are not followed. The content of compressed files is not read;
      use a pipe, such as zcat FILE | blnk-gateway token scan -. What was not read, and
      a count, go to standard error.
      """,
    options: [
      Option(
        name: "--policies", value: "DIR",
        help: "the policy folder that knows the tokens (default: $BLNK_GATEWAY_POLICIES, else none)"),
      Option(name: "--json", value: nil, help: "print a JSON object instead of lines"),
    ],
    exitCodes: [
      0: "there are no tokens", 1: "there are tokens, in force or not",
      4: "none was found, but something could not be read, or the policy folder is invalid",
    ],
    example: """
      blnk-gateway token scan --policies policies /var/log/blnk-gateway ~/shop
      git log --all --patch | blnk-gateway token scan -
      """,
    takesOperands: true
  ) { arguments throws(CommandFault) in
    guard !arguments.operands.isEmpty else {
      throw .usage("token scan: missing files or folders: token scan PATH...; see --help")
    }
    let named = ProcessInfo.processInfo.environment["BLNK_GATEWAY_POLICIES"].map { !$0.isEmpty } ?? false
    let owners = named || arguments.isSet("--policies") ? try TokenOwners(PolicyFolder(arguments)) : nil
    var scan = TokenScan(owners, isJSON: arguments.isSet("--json"))
    try scan.begin()
    for path in arguments.operands { try scan.read(operand: path) }
    return try scan.end()
  }
}

/// One run of `token scan`: reads files one after the other and prints each token that it finds.
private struct TokenScan {
  /// nil: there is no policy folder.
  private let owners: TokenOwners?
  private let isJSON: Bool
  private var progress = Progress()
  private var tokens = 0
  private var inForce = 0
  private var files = 0
  private var bytes = 0
  /// Links in folders, which were not followed.
  private var links = 0
  private var unreadCount = 0
  /// As JSON; at most `unreadMax`.
  private var unread: [String] = []

  private static let readBytes = 256 << 10
  /// In the JSON object; standard error has all.
  private static let unreadMax = 10_000

  init(_ owners: TokenOwners?, isJSON: Bool) {
    self.owners = owners
    self.isJSON = isJSON
  }

  func begin() throws(CommandFault) {
    if isJSON { try Console.print(#"{"findings":["#) }
  }

  /// The exit code.
  mutating func end() throws(CommandFault) -> Int32 {
    progress.clear()
    if isJSON {
      let summary = JSONText.object([
        "tokens": "\(tokens)", "in_force": owners == nil ? nil : "\(inForce)", "files": "\(files)", "bytes": "\(bytes)",
        "links": "\(links)", "unread_count": "\(unreadCount)", "unread": JSONText.list(unread),
      ])
      try Console.print("],\(summary.dropFirst())")
    } else {
      let active = owners == nil ? "" : ", \(inForce) in force"
      let skipped = links == 0 ? "" : "; \(counted(links, "link")) not followed"
      let rest = unreadCount == 0 ? "" : "; \(unreadCount) not read"
      Console.log(
        "\(counted(tokens, "token"))\(active) in \(counted(files, "file")) (\(counted(bytes, "byte")))\(skipped)\(rest)"
      )
    }
    return tokens > 0 ? 1 : unreadCount > 0 ? 4 : 0
  }

  /// A file or folder that the command line names; follows links, and reads pipes.
  mutating func read(operand path: String) throws(CommandFault) {
    if path == "-" { return try read(.standardInput, path) }
    switch kind(of: path, followsLinks: true) {
    case .folder: try walk(path)
    case .regular, .link, .other:
      let file = open(path) { () throws(Errno) in try InputFile(path: path) }
      if let file { try read(file, path) }
    case nil: break
    }
  }

  /// Reads a folder in the order of the names.
  private mutating func walk(_ root: String) throws(CommandFault) {
    var paths = [root]
    while let path = paths.popLast() {
      guard let names = try? FileManager.default.contentsOfDirectory(atPath: path) else {
        skip(path, "the folder cannot be read")
        continue
      }
      var folders: [String] = []
      for name in names.sorted() {
        let child = path.hasSuffix("/") ? path + name : "\(path)/\(name)"
        switch kind(of: child, followsLinks: false) {
        case .folder: folders.append(child)
        case .link: links += 1
        case .other: skip(child, "neither a file nor a folder")
        case .regular:
          let file = open(child) { () throws(Errno) in try InputFile.regular(path: child) }
          if let file { try read(file, child) }
        case nil: break
        }
      }
      paths += folders.reversed()
    }
  }

  private mutating func kind(of path: String, followsLinks: Bool) -> FileKind? {
    do throws(Errno) {
      return try FileKind(path: path, followsLinks: followsLinks)
    } catch {
      skip(path, error.description)
      return nil
    }
  }

  private mutating func open(_ path: String, _ body: () throws(Errno) -> InputFile?) -> InputFile? {
    do throws(Errno) {
      if let file = try body() { return file }
      skip(path, "it is no longer a file")
    } catch {
      skip(path, error.description)
    }
    return nil
  }

  private mutating func read(_ file: InputFile, _ path: String) throws(CommandFault) {
    var scanner = TokenScanner()
    // What is appended meanwhile is not read: a busy log might never end. Files of /proc have no size.
    let byteCount = file.byteCount ?? 0
    var (count, isLast) = (0, false)
    files += 1
    while !isLast {
      var bytes: [UInt8] = []
      do throws(Errno) {
        bytes = try file.read(byteCount > 0 ? min(Self.readBytes, byteCount - count) : Self.readBytes)
      } catch {
        skip(path, error.description)
      }
      if count == 0, let tool = CompressedFiles.tool(for: bytes) {
        skip(path, "compressed; use \(tool) \(path.shellQuoted) | blnk-gateway token scan -")
      }
      count += bytes.count
      isLast = bytes.isEmpty || count == byteCount
      var matches: [TokenScanner.Match] = []
      scanner.read(bytes, isLast: isLast) { matches.append($0) }
      for match in matches { try print(match, path, isBinary: scanner.isBinary) }
      progress.add(bytes.count)
    }
    bytes += count
  }

  private mutating func print(_ match: TokenScanner.Match, _ path: String, isBinary: Bool) throws(CommandFault) {
    guard let finding = TokenFinding(match, path, owners) else { return }
    progress.clear()
    let separator = tokens == 0 ? "" : ","
    try Console.print(isJSON ? separator + finding.json : finding.text(isBinary: isBinary))
    tokens += 1
    if finding.state == .inForce { inForce += 1 }
  }

  /// Reports what is not read.
  private mutating func skip(_ path: String, _ reason: String) {
    progress.clear()
    unreadCount += 1
    if unread.count < Self.unreadMax {
      unread.append(JSONText.object(["path": escapedJSONString(path), "reason": escapedJSONString(reason)]))
    }
    Console.log("not read: \(oneLine("\(path): \(reason)"))")
  }
}

/// One occurrence of a token.
private struct TokenFinding {
  let path: String
  let line: Int
  /// In bytes, from 0.
  let offset: Int
  let kind: String
  /// As `token list` shows it.
  let digest: String
  /// nil: there is no policy folder.
  private(set) var state: TokenOwners.State?
  private var client: String?
  private var note: String?
  private var expires: String?
  /// Of a token of the token endpoint.
  private var tokenId: String?

  /// nil: it has the form of a token of the policy, and is forged.
  init?(_ match: TokenScanner.Match, _ path: String, _ owners: TokenOwners?) {
    (self.path, line, offset) = (path, match.line, match.offset)
    digest = String(Token.digest(of: match.text).hex.prefix(12))
    switch match.kind {
    case .minted(.access): kind = "token"
    case .minted(.clientSecret): kind = "client secret"
    case .signed(.access): kind = "signed token"
    case .signed(.refresh): kind = "signed refresh token"
    case .signed(.code): kind = "signed code"
    }
    guard let owners else { return }
    guard let verdict = owners.verdict(on: match) else { return nil }
    state = verdict.state
    client = verdict.client
    note = verdict.note
    expires = verdict.expiry?.description
    tokenId = verdict.id
  }

  var json: String {
    JSONText.object([
      "path": escapedJSONString(path), "line": "\(line)", "offset": "\(offset)", "kind": escapedJSONString(kind),
      "digest": escapedJSONString(digest), "state": state.map { escapedJSONString($0.rawValue) },
      "client": client.map(escapedJSONString),
      "note": note.map(escapedJSONString), "expires": expires.map(escapedJSONString),
      "token_id": tokenId.map(escapedJSONString),
    ])
  }

  func text(isBinary: Bool) -> String {
    let location = isBinary ? "byte \(offset)" : "\(line)"
    let owner = client.map { client in " of \(client)" } ?? ""
    let label = note.map { note in " (\(note))" } ?? ""
    let id = tokenId.map { id in ", id \(id)" } ?? ""
    return oneLine("\(path):\(location): \(kind) \(digest)\(owner)\(label)\(id)\(standing)")
  }

  private var standing: String {
    switch state {
    case nil: kind.hasPrefix("signed") ? ", by its form; not verified" : ""
    case .inForce: ", in force" + (expires.map { time in " until \(time)" } ?? "")
    case .expired: ", expired" + (expires.map { time in " at \(time)" } ?? "")
    case .revoked: ", revoked"
    case .unknown: client == nil ? ", unknown to the policy" : ", of a client that has no such tokens"
    }
  }
}

/// Whose the tokens are, according to a policy folder.
private final class TokenOwners {
  enum State: String {
    case inForce = "in_force"
    case expired, revoked
    /// The policy does not accept it, and cannot say that it ever did.
    case unknown

    init(_ state: ListedToken.State) {
      switch state {
      case .active: self = .inForce
      case .expired: self = .expired
      case .revoked: self = .revoked
      }
    }

    init(_ fault: SignedTokenReport.Fault?) {
      switch fault {
      case nil, .notYetValid, .wrongKind: self = .inForce
      case .expired: self = .expired
      case .tooOld, .revokedByFile, .revokedByClient: self = .revoked
      case .noEndpoint, .foreign, .forged, .clientUnknown: self = .unknown
      }
    }
  }

  struct Verdict {
    var state = State.unknown
    var client: String?
    var note: String?
    var expiry: UnixSeconds?
    var id: String?
  }

  private let folder: PolicyFolder
  private let revocations: Revocations
  private let now = UnixSeconds.now
  private let listed: [Digest: (client: ClientEntry, token: ListedToken)]
  /// What verifies the tokens of the token endpoint, which needs its keys; nil: the policy is invalid.
  private lazy var signed = loadSigned()

  init(_ folder: PolicyFolder) throws(CommandFault) {
    let (entries, revoked) = (ClientEntries(folder), RevokedFile(folder))
    let findings = entries.findings + revoked.findings
    guard findings.isEmpty else {
      for line in findings.lines { Console.log(line) }
      throw .unreadable("token scan: \(folder.path) is invalid, so it does not say which tokens are in force")
    }
    self.folder = folder
    revocations = revoked.revocations
    listed = Dictionary(
      entries.clients.flatMap { client in
        (client.tokens + client.secrets).map { token in (token.digest, (client, token)) }
      },
      uniquingKeysWith: { first, _ in first })
  }

  /// nil: it is forged.
  func verdict(on match: TokenScanner.Match) -> Verdict? {
    guard case .signed = match.kind else {
      guard let (client, token) = listed[Token.digest(of: match.text)] else { return Verdict() }
      return Verdict(
        state: State(client.state(of: token, at: now, revocations)), client: client.id, note: token.note,
        expiry: token.expiry)
    }
    guard let (policy, revoked) = signed,
      let report = policy.report(onSigned: match.text, revoked: revoked, at: now), report.fault != .noEndpoint,
      report.fault != .foreign
    else { return Verdict() }
    guard let content = report.content else { return nil }
    return Verdict(
      state: State(report.ownFault), client: content.client, expiry: content.expiresAt, id: content.id.hex)
  }

  private func loadSigned() -> (Policy, Set<TokenID>)? {
    let result = folder.load()
    guard let policy = result.policy else {
      for line in result.findings.lines { Console.log(line) }
      Console.log("\(folder.path): the policy is invalid; tokens of the token endpoint are not verified")
      return nil
    }
    let revoked = policy.revokedAtEndpoint
    if revoked == nil {
      Console.log("\(folder.path): \"oauth.revocations\" cannot be read; what was revoked there counts as in force")
    }
    return (policy, revoked ?? [])
  }
}
