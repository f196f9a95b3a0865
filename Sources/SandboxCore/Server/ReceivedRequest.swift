import Synchronization

/// One request as it came over the wire.
package struct ReceivedRequest: Sendable {
  package let method: String
  package let target: String
  /// From the request line to the empty line, byte for byte.
  package let head: [UInt8]
  /// Byte for byte, without chunk framing.
  package let body: [UInt8]
  let fields: [SandboxField]

  /// The values of all fields of this name, which is compared without case.
  package func values(of name: String) -> [String] {
    fields.filter { $0.name.lowercased() == name.lowercased() }.map(\.value)
  }
}

/// The last requests of a stand-in, for whoever wants to see what reached it.
///
/// Bounds: `countMax` requests and `bytesMax` bytes; the oldest go first.
final class ReceivedRequests: Sendable {
  private static let countMax = 256
  private static let bytesMax = 16 << 20

  private struct State {
    var requests: [ReceivedRequest] = []
    var bytes = 0
  }

  private let state = Mutex(State())

  var all: [ReceivedRequest] { state.withLock(\.requests) }

  func append(_ request: ReceivedRequest) {
    state.withLock { state in
      state.requests.append(request)
      state.bytes += request.byteCount
      while state.requests.count > Self.countMax || state.bytes > Self.bytesMax {
        state.bytes -= state.requests.removeFirst().byteCount
      }
    }
  }
}

extension ReceivedRequest {
  fileprivate var byteCount: Int { head.count + body.count }
}
