package import Digests

/// The entry of a token or client secret in a client's entry: its digest and properties, never the secret itself.
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
  /// The members that bind it to instances, as in the file, each after a comma and a space; empty: none.
  let binding: String
  /// The valid names of the instances that it is bound to; nil: all of its client's.
  package let instances: [String]?
  /// nil: its client's.
  package let defaultInstance: String?
  let object: JSONNode

  /// nil, with an error recorded, if the entry is invalid.
  init?(_ field: Field, isClientSecret: Bool = false) {
    let bindings = isClientSecret ? [] : ["instances", "default_instance"]
    guard let members = field.members(["sha256", "expires", "note"] + bindings),
      let digest = members.required("sha256")?.string().flatMap(Digest.init(hex:))
    else {
      field.error("is not a valid \(isClientSecret ? "secret" : "token") entry; run `blnk-gateway check`")
      return nil
    }
    self.digest = digest
    expiry = members["expires"].flatMap { $0.isNull ? nil : $0.string().flatMap(UnixSeconds.init(rfc3339:)) }
    if let field = members["expires"], !field.isNull, expiry == nil {
      field.error("must be an RFC 3339 time such as 2027-01-01T00:00:00Z")
    }
    note = members["note"].flatMap { $0.label() }
    object = field.node
    binding = bindings.compactMap { key in
      members[key].map { field in
        ", \"\(key)\": \(String(decoding: field.node.document.bytes[field.node.bytes], as: UTF8.self))"
      }
    }.joined()
    instances = members["instances"]?.node.instanceNames
    defaultInstance = members["default_instance"]?.node.instanceName
  }
}

extension JSONNode {
  /// nil: the value is not the name of an instance.
  fileprivate var instanceName: String? {
    guard case .string(let text) = value else { return nil }
    return InstanceID(text)?.text
  }

  /// The names in a list, without `*`; nil: the value is not a list.
  fileprivate var instanceNames: [String]? {
    guard case .array(let elements) = value else { return nil }
    return elements.compactMap(\.instanceName)
  }
}

/// The entry of a token or client secret that is not in any file yet.
package struct NewToken {
  let digest: Digest
  package let expiry: UnixSeconds?
  let note: String?
  /// As `ListedToken.binding`.
  var binding = ""

  /// nil if the note is empty, longer than 256 bytes, or contains control characters.
  ///
  /// - Parameter instance: the only instance that it may use; nil: all of its client's.
  package init?(_ digest: Digest, expiry: UnixSeconds?, note: String?, instance: InstanceID? = nil) {
    if let note {
      guard (1...256).contains(note.utf8.count), !note.unicodeScalars.contains(where: \.isControl) else { return nil }
    }
    self.digest = digest
    self.expiry = expiry
    self.note = note
    if let instance { binding = ", \"instances\": [\"\(instance.text)\"]" }
  }

  /// The predicate of a sentence about it.
  package var expiryText: String { expiry.map { "expires at \($0)" } ?? "never expires" }

  /// The entry for `"tokens"`, or for `"secrets"` of `"oauth"`.
  package var entry: String {
    let expires = expiry.map { ", \"expires\": \"\($0)\"" } ?? ""
    let note = note.map { ", \"note\": \(jsonString($0))" } ?? ""
    return "{ \"sha256\": \"\(digest)\"\(expires)\(note)\(binding) }"
  }
}
