import Digests
import Foundation

/// Base64url without padding, by Foundation.
func referenceBase64URL(_ bytes: [UInt8]) -> [UInt8] {
  Array(
    Data(bytes).base64EncodedString().replacingOccurrences(of: "+", with: "-")
      .replacingOccurrences(of: "/", with: "_").replacingOccurrences(of: "=", with: "").utf8)
}

/// Signed tokens, written independently of the module: HMAC as in RFC 2104, base64 by Foundation.
struct ReferenceToken {
  var prefix = "blnk_at_"
  var version: UInt8 = 2
  var kind: UInt8 = 1
  var keyName = "k1"
  var secret = Array("0123456789abcdef0123456789abcdef".utf8)
  var issuer = "https://gateway.example"
  var audience = "https://gateway.example"
  var issuedAt: UInt32 = 1_800_000_000
  var lifetime: UInt32 = 3_600
  var id = Array(UInt8(0)..<12)
  /// nil: the id.
  var grant: [UInt8]? = Array(UInt8(0xa0)..<0xac)
  var client = Array("acme".utf8)
  var scope = Array("proxy:read proxy:write".utf8)
  var binding: [UInt8] = []

  var payload: [UInt8] {
    let known = ["proxy:read", "proxy:write", "*", "data:read", "data:write"]
    let names = scope.isEmpty ? [] : String(decoding: scope, as: UTF8.self).components(separatedBy: " ")
    let places = names.map { known.firstIndex(of: $0) ?? known.count }
    let isKnown = places == places.sorted() && Set(places).count == places.count && !places.contains(known.count)
    var bytes = [version << 4 | (grant == nil ? 0 : 8) | (isKnown ? 0 : 4) | kind]
    bytes += sha256(Array(keyName.utf8))[..<4]
    bytes += sha256(Array("\(issuer)\0\(audience)".utf8))[..<8]
    for number in [issuedAt, lifetime] { bytes += withBigEndian(number) }
    bytes += id + (grant ?? []) + [UInt8(client.count)] + client
    bytes +=
      isKnown ? [places.reduce(0) { $0 + 1 << $1 }] : [UInt8(scope.count / 256), UInt8(scope.count % 256)] + scope
    return bytes + binding
  }

  var text: String { text(ofPayload: payload) }

  func text(ofPayload payload: [UInt8]) -> String {
    prefix + String(decoding: referenceBase64URL(payload + hmac(payload)), as: UTF8.self)
  }

  /// RFC 2104 §2.
  private func hmac(_ message: [UInt8]) -> [UInt8] {
    var key = secret.count > 64 ? sha256(secret) : secret
    key += [UInt8](repeating: 0, count: 64 - key.count)
    return sha256(key.map { $0 ^ 0x5c } + sha256(key.map { $0 ^ 0x36 } + message))
  }

  private func withBigEndian(_ number: UInt32) -> [UInt8] {
    [24, 16, 8, 0].map { shift in UInt8(number >> UInt32(shift) & 255) }
  }
}

func sha256(_ bytes: [UInt8]) -> [UInt8] {
  let digest = SHA256.digest(of: bytes.span).bytes
  return digest.indices.map { digest[$0] }
}
