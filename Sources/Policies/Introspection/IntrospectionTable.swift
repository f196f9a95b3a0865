import Bytes
import Digests
import OAuth

/// The introspection providers of a policy, with their scopes and clients looked up.
package struct IntrospectionTable: Sendable {
  struct Entry {
    let provider: IntrospectionProvider
    let scopes: [ByteText: ScopeSet]
    /// Client indices.
    let byClientID: [ByteText: Int32]
    let bySubject: [ByteText: Int32]
  }

  let entries: [Entry]
  /// Longest first.
  private let prefixes: [(bytes: [UInt8], entry: Int32)]
  private let byDefault: Int32?

  /// Of the gateway's own tokens and client secrets: they are sent to no server, whether or not they are valid.
  static let ownPrefixes = SignedTokenKind.allCases.map(\.prefix) + [Token.Kind.clientSecret.rawValue]
  private static let ownPrefixBytes = ownPrefixes.map { Array($0.utf8) }
  private static let tokenBytesMax = 8_192

  /// nil: there are none.
  init?(
    _ providers: [IntrospectionProvider], clients: ClientTable, scopes: ScopeDirectory
  ) {
    guard !providers.isEmpty else { return nil }
    let wanted = Set(providers.flatMap { Array($0.clientsByID.values) + Array($0.clientsBySubject.values) })
    var indices: [String: Int32] = [:]
    for index in clients.indices {
      let name = String(decoding: clients.id(of: index), as: UTF8.self)
      if wanted.contains(name) { indices[name] = Int32(index) }
    }
    entries = providers.map { provider in
      Entry(
        provider: provider,
        scopes: provider.scopes.mapValues { names in
          names.reduce(into: ScopeSet()) { set, name in scopes.set(of: name).map { set.formUnion($0) } }
        },
        byClientID: provider.clientsByID.compactMapValues { indices[$0] },
        bySubject: provider.clientsBySubject.compactMapValues { indices[$0] })
    }
    prefixes = providers.enumerated()
      .flatMap { index, provider in provider.prefixes.map { (bytes: Array($0.utf8), entry: Int32(index)) } }
      .sorted { $0.bytes.count > $1.bytes.count }
    byDefault = providers.firstIndex(where: \.isDefault).map(Int32.init)
  }

  package var providers: [IntrospectionProvider] { entries.map(\.provider) }

  package func provider(_ index: Int32) -> IntrospectionProvider { entries[Int(index)].provider }

  /// The index of a provider; nil: the table has none with its definition.
  func index(of provider: IntrospectionProvider) -> Int32? {
    entries.firstIndex { $0.provider.definition == provider.definition }.map(Int32.init)
  }

  /// The only provider that may be asked about a token; nil: none.
  func provider(for token: Span<UInt8>) -> Int32? {
    guard token.count <= Self.tokenBytesMax, !Self.ownPrefixBytes.contains(where: { begins(token, with: $0) }) else {
      return nil
    }
    return prefixes.first { begins(token, with: $0.bytes) }?.entry ?? byDefault
  }

  /// What the answer about a token is cached under. Other providers, and this one after its definition has changed, have
  /// other keys.
  func key(of token: Span<UInt8>, askedAt index: Int32) -> Digest {
    let definition = entries[Int(index)].provider.definition.words
    var stream = SHA256Stream()
    var prefix = InlineArray<33, UInt8>(repeating: 0)
    for (word, value) in [definition.0, definition.1, definition.2, definition.3].enumerated() {
      for byte in 0..<8 { prefix[8 * word + byte] = UInt8(truncatingIfNeeded: value >> UInt64(56 - 8 * byte)) }
    }
    stream.update(prefix.span)
    stream.update(token)
    return stream.digest
  }
}

private func begins(_ bytes: Span<UInt8>, with prefix: [UInt8]) -> Bool {
  guard bytes.count >= prefix.count else { return false }
  for index in prefix.indices where bytes[index] != prefix[index] { return false }
  return true
}

extension Policy {
  /// Reports clients and scopes that the providers name and that do not exist: their tokens are refused.
  func reportUnknownNames(ofIntrospection file: String, log: FindingLog) {
    guard let introspection else { return }
    for entry in introspection.entries {
      let (provider, path) = (entry.provider, "introspection.\(entry.provider.name)")
      let maps = [
        ("by_client_id", provider.clientsByID, entry.byClientID),
        ("by_sub", provider.clientsBySubject, entry.bySubject),
      ]
      for (key, names, known) in maps {
        for (name, client) in names.sorted(by: { $0.key.text < $1.key.text }) where known[name] == nil {
          log.append(
            Finding(
              .warning, file: file, keyPath: "\(path).clients.\(key).\(name.text)",
              message: "there is no client \"\(client)\"; its tokens are rejected until clients.json has it"))
        }
      }
      for (name, allowed) in provider.scopes.sorted(by: { $0.key.text < $1.key.text }) {
        for scope in allowed where scopes.set(of: scope) == nil {
          log.append(
            Finding(
              .warning, file: file, keyPath: "\(path).scopes.\(name.text)",
              message: "no route has the scope \"\(scope.text)\"\(suggestion(for: scope.text, among: scopes.names))"))
        }
      }
    }
  }
}
