import HTTP1
import Synchronization

/// A request as received from the network.
package struct ReceivedRequest: Sendable {
  package let method: String
  package let target: String
  /// From the request line to the empty line, byte for byte.
  package let head: [UInt8]
  /// Byte for byte, without chunk framing.
  package let body: [UInt8]
  let fields: [SandboxField]

  /// The values of all fields with this name, which is case-insensitive.
  package func values(of name: String) -> [String] {
    fields.filter { $0.name.lowercased() == name.lowercased() }.map(\.value)
  }
}

/// The most recent requests of a sandbox, for the demo and for tests.
///
/// Holds at most `countMax` requests and `bytesMax` bytes; the oldest are dropped first.
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
  /// Copies a request out of the bytes that `head` was parsed from.
  init(_ head: borrowing RequestHead, _ bytes: Span<UInt8>, body: [UInt8]) {
    method = text(bytes, head.methodRange)
    target = text(bytes, head.target)
    self.head = copy(bytes, 0..<head.byteCount)
    self.body = body
    fields = head.fields.map { SandboxField(text(bytes, $0.name), text(bytes, $0.value)) }
  }

  fileprivate var byteCount: Int { head.count + body.count }
}

func copy(_ bytes: Span<UInt8>, _ range: Range<Int>) -> [UInt8] {
  var copied: [UInt8] = []
  copied.reserveCapacity(range.count)
  for index in range { copied.append(bytes[index]) }
  return copied
}

private func text(_ bytes: Span<UInt8>, _ range: Range<Int>) -> String {
  String(decoding: copy(bytes, range), as: UTF8.self)
}
