import Foundation
import Reactor

/// A Core on one connection: answers each request with the request's own tag, or does what Cores do when they are ill.
final class SimulatedCore: SimulatedPeer {
  private let run: SimulationRun

  /// An answer that nobody asked for.
  private static let stray = Array("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nc99r99z.".utf8)

  init(_ run: SimulationRun, _ end: SimulatedEnd) {
    self.run = run
    super.init(run.kernel, end)
  }

  override func hasReceived() {
    while let request = reader.next(hasBody: true) {
      guard let tag = request.tag else { return run.expect(false, "Core got \(request.startLine)") }
      run.expect(request.isBody(of: tag), "Core got a body that is not that of \(tag)")
      run.coreSaw(tag, request.field("X-Request-Id") ?? "")
      answer(request, tag)
    }
  }

  override func hasEnded() { leave() }

  private func answer(_ request: SimulatedMessage, _ tag: String) {
    let lot = Int.random(in: 0..<40, using: &kernel.random)
    let body = Array(
      String(repeating: tag + ".", count: Int.random(in: 0...(lot % 8 == 5 ? 4_000 : 60), using: &kernel.random)).utf8)
    let isHead = request.startLine.hasPrefix("HEAD ")
    var bytes: [UInt8]
    var ends = false
    switch lot {
    case 0: return leave()
    case 1: return endOutput()
    case 2: return  // Never answers.
    case 3: bytes = Array("garbage\r\n\r\n".utf8)
    case 4..<14:
      bytes = Array("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".utf8)
      if !isHead { bytes += chunked(body) }
    case 14..<18 where !isHead:
      bytes = Array("HTTP/1.1 200 OK\r\n\r\n".utf8) + body
      ends = true
    default:
      let extra = lot == 39 ? "Connection: close\r\n" : ""
      bytes = Array("HTTP/1.1 200 OK\r\n\(extra)Content-Length: \(body.count)\r\n\r\n".utf8) + (isHead ? [] : body)
      ends = lot == 39
    }
    if lot == 20 { bytes = Array(bytes.prefix(bytes.count / 2)) }
    // At once, so that the second answer is there when the first one is over: later it could not be told apart.
    if (34..<39).contains(lot) { return kernel.calls.deliver(bytes + Self.stray, to: end) }
    send(bytes)
    if ends || lot == 20 { endWhenSent() }
  }

  private func endWhenSent() {
    kernel.after(1) { [weak self] in
      guard let self, !hasLeft else { return }
      if hasSentAll { endOutput() } else { endWhenSent() }
    }
  }

  private func chunked(_ body: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = []
    var rest = body[...]
    while !rest.isEmpty {
      let chunk = rest.prefix(Int.random(in: 1...5_000, using: &kernel.random))
      bytes += Array(String(chunk.count, radix: 16).utf8) + Array("\r\n".utf8) + chunk + Array("\r\n".utf8)
      rest = rest.dropFirst(chunk.count)
    }
    return bytes + Array("0\r\n\r\n".utf8)
  }
}
