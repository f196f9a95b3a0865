package import Digests

/// A token as it stands in a client's entry: what an operator sees of it, never the token.
package struct ListedToken {
  package enum State: String {
    case active, expired
    /// By the client's `"revoked": true`, or by revoked.json.
    case revoked
  }

  package let digest: Digest
  /// nil: never.
  package let expiry: UnixSeconds?
  package let note: String?
  /// The members that bind it to instances, as they stand in the file: each behind a comma and a blank; empty: none.
  let binding: String
  /// The instances that it is bound to, as far as the file names them so; nil: those of its client.
  package let instances: [String]?
  /// As the file names it; nil: that of its client.
  package let defaultInstance: String?
  let object: JSONNode

  /// nil, with an error noted, when the entry is not valid.
  init?(_ field: Field) {
    guard let members = field.members(["sha256", "expires", "note", "instances", "default_instance"]),
      let digest = members.required("sha256")?.string().flatMap(Digest.init(hex:))
    else {
      field.error("is no token entry; see `blnk-gateway check`")
      return nil
    }
    self.digest = digest
    expiry = members["expires"].flatMap { $0.isNull ? nil : $0.string().flatMap(UnixSeconds.init(rfc3339:)) }
    if let field = members["expires"], !field.isNull, expiry == nil { field.error("is no time (RFC 3339)") }
    note = members["note"].flatMap { $0.label() }
    object = field.node
    binding = ["instances", "default_instance"].compactMap { key in
      members[key].map { field in
        ", \"\(key)\": \(String(decoding: field.node.document.bytes[field.node.bytes], as: UTF8.self))"
      }
    }.joined()
    instances = members["instances"]?.node.instanceNames
    defaultInstance = members["default_instance"]?.node.instanceName
  }
}

extension JSONNode {
  /// nil for what is no such name.
  fileprivate var instanceName: String? {
    guard case .string(let text) = value else { return nil }
    return InstanceID(text)?.text
  }

  /// Of a list, `*` left out; nil for what is no list.
  fileprivate var instanceNames: [String]? {
    guard case .array(let elements) = value else { return nil }
    return elements.compactMap(\.instanceName)
  }
}

/// A token that is not in any file yet.
package struct NewToken {
  let digest: Digest
  package let expiry: UnixSeconds?
  let note: String?
  /// As `ListedToken.binding`.
  var binding = ""

  /// nil for a note that is longer than 256 bytes, empty, or with control characters.
  ///
  /// - Parameter instance: the one that it is bound to; nil: none.
  package init?(_ digest: Digest, expiry: UnixSeconds?, note: String?, instance: InstanceID? = nil) {
    if let note {
      guard (1...256).contains(note.utf8.count), !note.unicodeScalars.contains(where: \.isControl) else { return nil }
    }
    self.digest = digest
    self.expiry = expiry
    self.note = note
    if let instance { binding = ", \"instances\": [\"\(instance.text)\"]" }
  }

  /// The entry for `"tokens"`.
  package var entry: String {
    let expires = expiry.map { ", \"expires\": \"\($0)\"" } ?? ""
    let note = note.map { ", \"note\": \(jsonString($0))" } ?? ""
    return "{ \"sha256\": \"\(digest)\"\(expires)\(note)\(binding) }"
  }
}
