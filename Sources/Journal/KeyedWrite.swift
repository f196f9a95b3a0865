import Bytes
package import Digests

/// A write with an idempotency key, before it is sent. A class, because queues and phases copy it often.
package final class KeyedWrite: Sendable {
  package let client: String
  package let instance: String
  /// The key that the client chose: 1 to 255 characters.
  package let key: String
  /// Of method, target and body: what must be the same when the key is used again.
  package let fingerprint: Digest
  package let requestIDHigh: UInt64
  package let requestIDLow: UInt64
  /// What the key is stored under: SHA-256 of the three names, each after its length.
  package let digest: Digest

  package init(
    client: String, instance: String, key: String, fingerprint: Digest, requestIDHigh: UInt64, requestIDLow: UInt64
  ) {
    self.client = client
    self.instance = instance
    self.key = key
    self.fingerprint = fingerprint
    self.requestIDHigh = requestIDHigh
    self.requestIDLow = requestIDLow
    digest = Self.digest(client: client, instance: instance, key: key)
  }

  package static func digest(client: String, instance: String, key: String) -> Digest {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(client.utf8.count + instance.utf8.count + key.utf8.count + 6)
    func append(_ name: String) {
      let name = name.utf8Span.span
      bytes.append(UInt8(truncatingIfNeeded: name.count >> 8))
      bytes.append(UInt8(truncatingIfNeeded: name.count))
      bytes.append(copying: name)
    }
    append(client)
    append(instance)
    append(key)
    return SHA256.digest(of: bytes.span)
  }
}

/// How a keyed write ended.
package enum KeyedOutcome: Sendable {
  /// Core's whole response.
  ///
  /// - Parameter fields: complete field lines, each with its CRLF: those that a replay repeats.
  case response(status: Int, fields: [UInt8], body: [UInt8])
  /// Core's response was too large to keep.
  case responseNotKept(status: Int)
  /// Core has not executed it: the key is free again.
  case notSent
}

/// The answer to a claim, at once.
package enum ClaimResult: Sendable {
  /// The key is this request's. The ticket's result is `durable` or `failed`; the request may be sent once it is durable.
  case claimed
  /// The key was used before. The ticket's result is `stored`, `notKept`, `unknown`, `reused` or `unreadable`.
  case reading
  /// The same request is in flight.
  case inProgress
  /// A different request with this key is in flight.
  case reused
  /// No claim: the request must not be sent.
  case unavailable(JournalFullness)
}

/// Why a key cannot be claimed.
package enum JournalFullness: String, Sendable, CaseIterable {
  /// The disk has failed, or the thread is behind.
  case cannotWrite
  /// The same, and the key is known.
  case cannotRead
  /// Another process takes the claims.
  case handedOver
  /// `keys_max`, `keys_per_client_max` or `disk_bytes_max` is reached.
  case keys, keysOfClient, diskBytes
  /// The client's share of `disk_bytes_max` is reached.
  case diskBytesOfClient
}

/// What the journal's thread answers to a ticket.
package enum JournalResult: Sendable {
  /// The claim, or the outcome, is on disk.
  case durable
  /// It may not be on disk.
  case failed
  /// Another request has used this key.
  case reused
  case stored(StoredResponse)
  /// The outcome is known, but the response was too large to keep.
  case notKept(status: Int, requestIDHigh: UInt64, requestIDLow: UInt64)
  /// It is not known whether Core has executed the request.
  case unknown(UnknownWrite)
  /// The stored response cannot be read.
  case unreadable
}

/// A write whose outcome is not known.
package struct UnknownWrite: Sendable, Equatable {
  package let requestIDHigh: UInt64
  package let requestIDLow: UInt64
  /// When its key was claimed.
  package let wallMicroseconds: Int64
}

/// The response to a write, as it was stored.
package struct StoredResponse: Sendable, Equatable {
  package var isReconstructed = false
  package let status: Int
  /// Complete field lines.
  package let fields: [UInt8]
  package let body: [UInt8]
  /// Of the request that Core has executed.
  package let requestIDHigh: UInt64
  package let requestIDLow: UInt64

  /// What Core's record shows, because its own response was lost.
  package init(
    reconstructed status: Int, fields: [UInt8], body: [UInt8], requestIDHigh: UInt64, requestIDLow: UInt64
  ) {
    self.init(
      status: status, fields: fields, body: body, requestIDHigh: requestIDHigh, requestIDLow: requestIDLow)
    isReconstructed = true
  }

  init(status: Int, fields: [UInt8], body: [UInt8], requestIDHigh: UInt64, requestIDLow: UInt64) {
    (self.status, self.fields, self.body) = (status, fields, body)
    (self.requestIDHigh, self.requestIDLow) = (requestIDHigh, requestIDLow)
  }
}
