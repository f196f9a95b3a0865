import Foundation
import Synchronization

/// A client that uploads a body and must read the response, even one sent before the body is complete.
package struct UploadingClient: Sendable {
  /// How the client orders sending and reading.
  package enum Habit: CaseIterable, Sendable {
    /// Sends everything, then reads.
    case sendsThenReads
    /// Sends 1,000 bytes, waits up to 1 s for the response to arrive, sends the rest in pieces of 16 KiB, then reads.
    case sendsPiecesThenReads
    /// Reads while sending, as Go's net/http and Node's fetch do. A failed send does not hide the response.
    case readsWhileSending
  }

  package enum Outcome: Sendable {
    case response(TestMessage)
    /// The connection failed or closed before the whole response was read.
    case lost(String)

    package var status: Int? {
      if case .response(let message) = self { return message.status }
      return nil
    }
  }

  private static let firstPieceBytes = 1_000
  private static let pieceBytes = 16 << 10

  private let socket: TestSocket
  private let habit: Habit

  package init(port: UInt16, _ habit: Habit) throws {
    socket = try TestSocket(port: port)
    self.habit = habit
  }

  /// Sends the request and reads the response.
  package func send(_ request: [UInt8]) -> Outcome {
    switch habit {
    case .sendsThenReads: sendThenRead([request[...]])
    case .sendsPiecesThenReads: sendThenRead(Self.pieces(request))
    case .readsWhileSending: readWhileSending(Self.pieces(request))
    }
  }

  private func sendThenRead(_ pieces: [ArraySlice<UInt8>]) -> Outcome {
    do {
      for (number, piece) in pieces.enumerated() {
        if number == 1 { _ = socket.isQuiet(milliseconds: 1_000) }
        try socket.send(Array(piece))
      }
    } catch {
      return .lost("sending: \(error)")
    }
    let outcome = read()
    // Linux still delivers data received before a reset. Other systems drop it.
    return socket.wasReset() ? .lost("reading: a reset") : outcome
  }

  private func readWhileSending(_ pieces: [ArraySlice<UInt8>]) -> Outcome {
    let sender = Sender(socket, pieces)
    let outcome = read()
    let reset = sender.reset
    // The client has its response and stops sending.
    socket.end()
    sender.waitForEnd()
    return reset.map { .lost("sending: \($0)") } ?? outcome
  }

  private func read() -> Outcome {
    var reader = TestMessageReader(socket)
    do {
      while let message = try reader.next() {
        if message.status >= 200 { return .response(message) }
      }
      return .lost("reading: the end of the connection")
    } catch {
      return .lost("reading: \(error)")
    }
  }

  private static func pieces(_ bytes: [UInt8]) -> [ArraySlice<UInt8>] {
    let starts = [0] + stride(from: firstPieceBytes, to: bytes.count, by: pieceBytes)
    return zip(starts, starts.dropFirst() + [bytes.count]).map { bytes[$0..<$1] }
  }

  /// Sends on its own thread until done or failed.
  private final class Sender: Sendable {
    private let ended = DispatchSemaphore(value: 0)
    private let fault = Mutex<(any Error)?>(nil)

    init(_ socket: TestSocket, _ pieces: [ArraySlice<UInt8>]) {
      Thread { [self] in
        do {
          for piece in pieces { try socket.send(Array(piece)) }
        } catch {
          fault.withLock { $0 = error }
        }
        ended.signal()
      }.start()
    }

    /// The reset that sending has met so far, if any.
    var reset: (any Error)? {
      let error = fault.withLock { $0 }
      return error.flatMap { TestSocket.isReset($0) ? $0 : nil }
    }

    func waitForEnd() { ended.wait() }
  }
}
