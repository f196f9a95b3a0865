extension Field {
  private static let keyBytesMax = 4096

  /// One key, or a list of keys with the one to try first at the front; at most 8.
  func secrets(in reading: FolderReading) -> [Secret]? {
    guard case .array = node.value else { return secret(in: reading).map { secret in [secret] } }
    guard let fields = elements() else { return nil }
    guard (1...8).contains(fields.count) else { return refused("must have 1 to 8 keys") }
    let secrets = fields.compactMap { field in field.secret(in: reading) }
    return secrets.count == fields.count ? secrets : nil
  }

  /// The bytes that `{"env": "NAME"}` or `{"file": "PATH"}` names, without one newline at the end.
  func secret(in reading: FolderReading) -> Secret? {
    guard case .object = node.value else {
      return refused(#"must be {"env": "NAME"} or {"file": "PATH"}, never the key itself"#)
    }
    guard let members = members(["env", "file"]) else { return nil }
    switch (members["env"], members["file"]) {
    case (let field?, nil): return field.environmentKey(in: reading)
    case (nil, let field?): return field.fileKey(in: reading)
    case (nil, nil), (_?, _?): return refused(#"must have either "env" or "file""#)
    }
  }

  private func environmentKey(in reading: FolderReading) -> Secret? {
    guard let name = string() else { return nil }
    let isName = name.utf8.allSatisfy { byte in isAlphanumeric(byte) || byte == UInt8(ascii: "_") }
    guard isName, let first = name.utf8.first, !isDecimalDigit(first) else {
      return refused("must be the name of an environment variable: A-Z a-z 0-9 _")
    }
    guard reading.folder.readsKeys else { return reading.passOver(key: name) }
    guard let value = reading.folder.environment[name] else {
      return refused("the environment variable \(name) is not set; set it, or name a file with {\"file\": \"PATH\"}")
    }
    return key(Array(value.utf8), from: "the environment variable \(name)")
  }

  private func fileKey(in reading: FolderReading) -> Secret? {
    guard let name = label(byteCountMax: 4096) else { return nil }
    let path = resolved(name, in: reading.folder.path)
    guard reading.folder.readsKeys else { return reading.passOver(key: path) }
    do throws(FileFault) {
      let content = try reading.content(path, byteCountMax: Self.keyBytesMax + 2)
      warnOfAccess(toKeyFile: path, mode: content.mode)
      return key(content.bytes, from: "the file \(path)")
    } catch {
      return refused("the file \(path) \(error.message)\(error == .absent ? "; write the key into it" : "")")
    }
  }

  /// Others who can read a key can call the Core; who can write it can make the gateway send another one.
  func warnOfAccess(toKeyFile path: String, mode: Int) {
    let octal = "0" + String(mode, radix: 8)
    if mode & 0o004 != 0 { warning("every user of this machine can read the file \(path) (mode \(octal)); chmod 600") }
    if mode & 0o022 != 0 { warning("others can write the file \(path) (mode \(octal)); chmod 600") }
  }

  private func key(_ value: [UInt8], from source: String) -> Secret? {
    let bytes = withoutNewline(value)
    guard !bytes.isEmpty else { return refused("\(source) is empty; put the key of the Core into it") }
    guard bytes.allSatisfy({ byte in (0x20...0x7e).contains(byte) }) else {
      return refused("\(source) has bytes that a header field cannot carry; a key is one line of visible ASCII")
    }
    guard bytes.first != 0x20, bytes.last != 0x20 else {
      return refused("\(source) begins or ends with a space; remove it")
    }
    guard bytes.count <= Self.keyBytesMax else { return refused("\(source) is longer than \(Self.keyBytesMax) bytes") }
    return Secret(Array(bytes))
  }

  private func withoutNewline(_ bytes: [UInt8]) -> ArraySlice<UInt8> {
    guard bytes.last == 0x0a else { return bytes[...] }
    return bytes.dropLast(bytes.dropLast().last == 0x0d ? 2 : 1)
  }
}
