import Bytes

/// The audit entry of what the token endpoint has done, or a command in its place. Texts that are empty are left out.
package struct AuditGrant: Sendable {
  package enum Event: String, Sendable {
    case granted, refused, revoked
    /// An operator has issued an authorization code.
    case issued
  }

  package let requestIDHigh: UInt64
  package let requestIDLow: UInt64
  package var event = Event.refused
  /// The client that authenticated itself; empty: none did.
  package var client: [UInt8] = []
  package var grantType = ""
  package var scope = ""
  /// The id of the access token.
  package var tokenID = ""
  /// The id of the grant, or what was revoked.
  package var grantID = ""
  /// The error of a refusal, as RFC 6749 §5.2 names it.
  package var error = ""
  /// The user who ran the command.
  package var user = ""
  package var peer: [UInt8] = []
  package var via: [UInt8] = []

  package init(requestIDHigh: UInt64, requestIDLow: UInt64) {
    self.requestIDHigh = requestIDHigh
    self.requestIDLow = requestIDLow
  }

  func append(to out: inout [UInt8]) {
    let members = ByteBuffer(capacity: 1 << 10)
    members.appendRequestID(requestIDHigh, requestIDLow)
    members.append(text: #","event":"\#(event.rawValue)""#)
    append(#","client":""#, client, members)
    append(#","grant_type":""#, Array(grantType.utf8), members)
    append(#","scope":""#, Array(scope.utf8), members)
    append(#","token_id":""#, Array(tokenID.utf8), members)
    append(#","grant_id":""#, Array(grantID.utf8), members)
    append(#","error":""#, Array(error.utf8), members)
    append(#","user":""#, Array(user.utf8), members)
    append(#","peer":""#, peer, members)
    append(#","via":""#, via, members)
    members.move(to: &out)
  }

  private func append(_ opening: StaticString, _ text: [UInt8], _ members: ByteBuffer) {
    let bytesMax = opening.utf8CodeUnitCount + ByteWriter.jsonBytesMax(text.count)
    members.write(atMost: bytesMax) { $0.append(opening, json: text.span) }
  }
}
