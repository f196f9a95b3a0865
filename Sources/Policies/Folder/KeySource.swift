extension Field {
  private static let keyBytesMax = 4096

  /// One key, or a list of 1 to 8 keys in the order in which to try them.
  func secrets(in reading: FolderReading) -> [Secret]? {
    guard case .array = node.value else { return secret(in: reading).map { secret in [secret] } }
    guard let fields = elements() else { return nil }
    guard (1...8).contains(fields.count) else { return fail("must have 1 to 8 keys") }
    let secrets = fields.compactMap { field in field.secret(in: reading) }
    return secrets.count == fields.count ? secrets : nil
  }

  /// The bytes that `{"env": "NAME"}`, `{"file": "PATH"}` or `{"credential": "NAME"}` refers to, without one trailing
  /// newline.
  func secret(in reading: FolderReading) -> Secret? {
    guard case .object = node.value else {
      return fail(
        #"must be {"env": "NAME"}, {"file": "PATH"} or {"credential": "NAME"}, never the key itself"#)
    }
    return members(["env", "file", "credential"]).flatMap { members in secret(from: members, in: reading) }
  }

  /// The same for an object that may have other members, too.
  func secret(from members: Members, in reading: FolderReading) -> Secret? {
    switch (members["env"], members["file"], members["credential"]) {
    case (let field?, nil, nil): return field.environmentKey(in: reading)
    case (nil, let field?, nil): return field.fileKey(in: reading)
    case (nil, nil, let field?): return field.credentialKey(in: reading)
    case (nil, nil, nil), (_?, _?, _), (_?, _, _?), (_, _?, _?):
      return fail(#"must have exactly one of "env", "file" and "credential""#)
    }
  }

  private func environmentKey(in reading: FolderReading) -> Secret? {
    guard let name = string() else { return nil }
    let isName = name.utf8.allSatisfy { byte in isAlphanumeric(byte) || byte == UInt8(ascii: "_") }
    guard isName, let first = name.utf8.first, !isDecimalDigit(first) else {
      return fail("must be the name of an environment variable: A-Z a-z 0-9 _, not starting with a digit")
    }
    guard reading.folder.readsKeys else { return reading.skip(key: name) }
    guard let value = reading.folder.environment[name] else {
      return fail("the environment variable \(name) is not set; set it, or name a file with {\"file\": \"PATH\"}")
    }
    return key(Array(value.utf8), from: "the environment variable \(name)")
  }

  private func fileKey(in reading: FolderReading) -> Secret? {
    guard let name = label(byteCountMax: 4096) else { return nil }
    let path = resolved(name, in: reading.folder.path)
    guard reading.folder.readsKeys else { return reading.skip(key: path) }
    return key(in: path, named: "the file \(path)", remedy: "write the key into it", reading)
  }

  /// The key in a file of $CREDENTIALS_DIRECTORY, where systemd puts what LoadCredential= names (systemd.exec(5)).
  private func credentialKey(in reading: FolderReading) -> Secret? {
    guard let name = string() else { return nil }
    guard isCredentialName(name) else {
      return fail(#"must be the name of a credential: 1 to 255 of A-Z a-z 0-9 _ - ., not "." or "..""#)
    }
    guard reading.folder.readsKeys else { return reading.skip(key: "credential \(name)") }
    guard let folder = reading.folder.environment["CREDENTIALS_DIRECTORY"], folder.hasPrefix("/") else {
      return fail(
        "$CREDENTIALS_DIRECTORY is not set to an absolute path; start the gateway with LoadCredential=\(name):PATH in its "
          + "systemd unit, or name a file with {\"file\": \"PATH\"}")
    }
    let path = "\(folder)/\(name)"
    let remedy = "add LoadCredential=\(name):PATH to the gateway's systemd unit and restart it"
    return key(in: path, named: "the credential \(name) (\(path))", remedy: remedy, reading)
  }

  private func isCredentialName(_ name: String) -> Bool {
    let punctuation = Array("_-.".utf8)
    return (1...255).contains(name.utf8.count) && name != "." && name != ".."
      && name.utf8.allSatisfy { byte in isAlphanumeric(byte) || punctuation.contains(byte) }
  }

  /// - Parameters:
  ///   - source: the file, as messages name it.
  ///   - remedy: what to do if there is no such file.
  private func key(in path: String, named source: String, remedy: String, _ reading: FolderReading) -> Secret? {
    do throws(FileFault) {
      let content = try reading.content(path, byteCountMax: Self.keyBytesMax + 2)
      warnOfAccess(toKeyFile: path, mode: content.mode)
      return key(content.bytes, from: source)
    } catch {
      return fail("\(source) \(error.message)\(error == .absent ? "; \(remedy)" : "")")
    }
  }

  /// A user that can read a key file can call the Core; one that can write it can make the gateway send another key.
  func warnOfAccess(toKeyFile path: String, mode: Int) {
    let file = "the file \(path) (mode 0\(String(mode, radix: 8)))"
    if mode & 0o004 != 0 { warning("\(file) is readable by every user of this machine; run chmod 600 on it") }
    if mode & 0o022 != 0 { warning("\(file) is writable by others; run chmod 600 on it") }
  }

  private func key(_ value: [UInt8], from source: String) -> Secret? {
    let bytes = withoutNewline(value)
    guard !bytes.isEmpty else { return fail("\(source) is empty; it must contain the key") }
    guard bytes.allSatisfy({ byte in (0x20...0x7e).contains(byte) }) else {
      return fail("\(source) contains bytes that a header field cannot carry; a key is one line of printable ASCII")
    }
    guard bytes.first != 0x20, bytes.last != 0x20 else {
      return fail("\(source) starts or ends with a space; remove it")
    }
    guard bytes.count <= Self.keyBytesMax else { return fail("\(source) is longer than \(Self.keyBytesMax) bytes") }
    return Secret(Array(bytes))
  }

  private func withoutNewline(_ bytes: [UInt8]) -> ArraySlice<UInt8> {
    guard bytes.last == 0x0a else { return bytes[...] }
    return bytes.dropLast(bytes.dropLast().last == 0x0d ? 2 : 1)
  }
}
