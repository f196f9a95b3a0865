import Bytes
import Policies
import Synchronization
import Telemetry

/// The last refusals and faults of one loop, which writes them; any thread reads them.
///
/// Bound: 100 of 400 bytes each, without bodies, queries or tokens. A request that succeeds touches none of it.
final class RecentEnds: Sendable {
  static let countMax = 100

  private struct Ring {
    var ends: [RecentEnd] = []
    /// The oldest one, once the ring is full.
    var oldest = 0
  }

  private let ring: Mutex<Ring>

  init() {
    var ring = Ring()
    // So that adding does not allocate.
    ring.ends.reserveCapacity(Self.countMax)
    self.ring = Mutex(ring)
  }

  /// Adds a refusal or a fault. Written in place: copying it takes 500 instructions per refusal.
  ///
  /// - Parameters:
  ///   - at: microseconds since 1970.
  ///   - path: without its query; what does not fit is cut off.
  @_optimize(speed)
  func add(
    _ code: GatewayCode, _ id: RequestID, at: Int64, client: Span<UInt8>, instance: Span<UInt8>, method: Span<UInt8>,
    path: Span<UInt8>
  ) {
    ring.withLock { ring in
      var slot = ring.ends.count
      if slot < Self.countMax {
        ring.ends.append(RecentEnd())
      } else {
        slot = ring.oldest
        ring.oldest = slot == Self.countMax - 1 ? 0 : slot + 1
      }
      ring.ends[slot].set(code, id, at: at, client: client, instance: instance, method: method, path: path)
    }
  }

  /// In the order in which they were added. A copy: if a reader shared the array, the loop would have to copy it.
  var all: [RecentEnd] {
    ring.withLock { ring in
      ring.ends.indices.map { index in ring.ends[(ring.oldest + index) % ring.ends.count] }
    }
  }

  /// The last ones of several loops as a JSON array, newest first.
  static func json(_ loops: some Sequence<RecentEnds>) -> [UInt8] {
    var rings = loops.map(\.all)
    let text = ByteBuffer(capacity: 16 << 10)
    text.append("[")
    for count in 0..<countMax {
      var newest = 0
      for index in rings.indices where (rings[index].last?.at ?? .min) > (rings[newest].last?.at ?? .min) {
        newest = index
      }
      guard newest < rings.count, let end = rings[newest].popLast() else { break }
      if count > 0 { text.append(",") }
      end.write(to: text)
    }
    text.append("]")
    var json: [UInt8] = []
    text.move(to: &json)
    return json
  }
}

/// One refusal or fault.
struct RecentEnd {
  /// Of the method, the names and the path together.
  private static let bytesMax = 320
  private static let methodBytesMax = 16

  /// Microseconds since 1970.
  private(set) var at: Int64 = 0
  private var id = RequestID(high: 0, low: 0)
  private var code = GatewayCode.internalFault
  /// As received: a token in the path is masked when it is read.
  private var bytes = InlineArray<320, UInt8>(repeating: 0)
  private var count = 0
  private var client = 0..<0
  private var instance = 0..<0
  private var method = 0..<0
  private var path = 0..<0

  @inline(__always)
  fileprivate mutating func set(
    _ code: GatewayCode, _ id: RequestID, at: Int64, client: Span<UInt8>, instance: Span<UInt8>, method: Span<UInt8>,
    path: Span<UInt8>
  ) {
    self.at = at
    self.id = id
    self.code = code
    count = 0
    self.client = append(client)
    self.instance = append(instance)
    self.method = append(method.extracting(first: Self.methodBytesMax))
    self.path = append(path)
  }

  /// Appends as much as fits; returns where it is.
  @inline(__always)
  private mutating func append(_ text: Span<UInt8>) -> Range<Int> {
    let start = count
    let text = text.extracting(first: Self.bytesMax &- start)
    for index in text.indices { bytes[start &+ index] = text[index] }
    count = start &+ text.count
    return start..<count
  }

  /// Writes it as a JSON object.
  fileprivate func write(to out: ByteBuffer) {
    let (time, code) = (timestamp(at), code.text)
    let all = bytes.span
    out.write(atMost: 300 + ByteWriter.jsonBytesMax(time.utf8.count + code.utf8.count + count)) { out in
      out.append(#"{"at":""#, json: time.utf8Span.span)
      out.append(#","request_id":""#)
      out.append(id)
      out.append(#"","code":""#, json: code.utf8Span.span)
      out.append(#","client":""#, json: all.extracting(client))
      out.append(#","instance":""#, json: all.extracting(instance))
      out.append(#","method":""#, json: all.extracting(method))
      out.append(#","path":""#, maskedJSON: all.extracting(path))
      out.append("}")
    }
  }
}
