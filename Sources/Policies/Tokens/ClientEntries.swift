/// The entries of all clients in a folder. Reads `clients.json` and `clients/` only, and no keys of instances.
package struct ClientEntries {
  /// In the order of the files.
  package private(set) var clients: [ClientEntry] = []
  private let log = FindingLog()
  private var definedNames = DefinedNames()

  /// What prevents editing the files; empty: all entries were read.
  package var findings: [Finding] { log.findings }

  package init(_ folder: PolicyFolder) {
    guard folderExists(folder.path) else {
      log.append(Finding(.error, file: folder.path, message: "no such folder; name one with --policies DIR"))
      return
    }
    let reading = FolderReading(folder)
    for name in reading.fileNames(of: "clients.json", log: log) { read(name, reading) }
  }

  /// The names of all instances in a folder; nil: a file of instances cannot be read.
  package static func instanceNames(in folder: PolicyFolder) -> [String]? {
    let (reading, log) = (FolderReading(folder), FindingLog())
    var names: [String] = []
    for root in reading.roots(of: "instances.json", whenAbsent: "it is required", log: log) {
      guard case .object(let members)? = root?.node["instances"]?.node.value else { return nil }
      names += members.map(\.key)
    }
    return log.findings.isEmpty ? names : nil
  }

  /// Whether `gateway.json` turns the token endpoint on; also true if it cannot be read.
  package static func hasTokenEndpoint(in folder: PolicyFolder) -> Bool {
    let log = FindingLog()
    let root = FolderReading(folder).root(of: "gateway.json", log: log)
    guard log.findings.isEmpty else { return true }
    return root?.node["oauth"].map { member in !Field.isNull(member.node) } ?? false
  }

  private mutating func read(_ name: String, _ reading: FolderReading) {
    guard let root = reading.root(of: name, whenAbsent: "create it with {\"clients\": {…}}", log: log),
      let bytes = try? reading.content(root.file, byteCountMax: JSONReader.byteCountMax).bytes
    else { return }
    guard case .object(let members)? = root.node["clients"]?.node.value else {
      return root.error("\"clients\" is missing")
    }
    for member in members { read(member, root.child(of: member), bytes) }
  }

  private mutating func read(_ member: JSONMember, _ field: Field, _ bytes: [UInt8]) {
    guard field.node.isObject, case let members = Members(object: field), !members.isEmpty else {
      return field.error("is not a valid client entry; run `blnk-gateway check`")
    }
    definedNames.insert(member.key, field, of: "client")
    let isRevoked = members["revoked"]?.bool() ?? false
    let fields = members["tokens"].map { tokens in tokens.elements() ?? [] } ?? []
    let oauth = members["oauth"]
    let secrets = oauth?.members(["secrets", "redirect_uris"])?.required("secrets")?.elements() ?? []
    clients.append(
      ClientEntry(
        id: member.key, isRevoked: isRevoked, tokens: fields.compactMap { field in ListedToken(field) },
        secrets: secrets.compactMap { field in ListedToken(field, isClientSecret: true) },
        instances: field.node["instances"]?.node.texts, file: field.file, member: member, text: bytes))
  }
}

extension JSONNode {
  /// The strings in a list; nil for any other value.
  fileprivate var texts: [String]? {
    guard case .array(let elements) = value else { return nil }
    return elements.compactMap { element in
      if case .string(let text) = element.value { text } else { nil }
    }
  }
}
