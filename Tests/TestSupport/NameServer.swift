import Foundation
import Glibc
import Synchronization
import System

/// A DNS server on port 53 of a loopback address, until its test ends. It answers every question for an IPv4 address
/// with the test's addresses, and any other question with no record.
package final class NameServer: Sendable {
  private let address: LoopbackAddress
  private let descriptor: FileDescriptor

  private struct State: Sendable {
    var addresses: [LoopbackAddress]
    var questions = 0
  }
  private let state: Mutex<State>

  /// Whether this process may bind port 53 and start a gateway with its own resolv.conf.
  package static let isPossible: Bool = {
    guard (try? Fixtures.shared { try NameServer(nil) }) != nil else { return false }
    let probe = Process()
    probe.executableURL = URL(filePath: "/usr/bin/unshare")
    probe.arguments = ["--mount", "mount", "--bind", "/etc/resolv.conf", "/etc/resolv.conf"]
    probe.standardError = FileHandle.nullDevice
    guard (try? probe.run()) != nil else { return false }
    probe.waitUntilExit()
    return probe.terminationStatus == 0
  }()

  /// - Parameter addresses: the records, in this order; nil: it never answers.
  package init(_ addresses: [LoopbackAddress]?) throws {
    let fixtures = try Fixtures.ofTest()
    address = .random()
    let number = socket(AF_INET, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard number >= 0 else { throw Errno.last }
    descriptor = FileDescriptor(owning: number)
    state = Mutex(State(addresses: addresses ?? []))
    var own = sockaddr_in()
    own.sin_family = sa_family_t(AF_INET)
    own.sin_port = UInt16(53).bigEndian
    own.sin_addr.s_addr = address.number.bigEndian
    let result = unsafe withUnsafeBytes(of: &own) {
      unsafe bind(
        number, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t(MemoryLayout<sockaddr_in>.size))
    }
    guard result == 0 else { throw Errno.last }
    fixtures.add(stop: stop)
    guard addresses != nil else { return }
    Thread { [self] in while answerOne() {} }.start()
  }

  @Sendable private func stop() { shutdown(descriptor.number, Int32(SHUT_RDWR)) }

  /// Replaces the addresses.
  package func answer(_ addresses: [LoopbackAddress]) { state.withLock { $0.addresses = addresses } }

  /// The number of questions for an IPv4 address.
  package var questions: Int { state.withLock { $0.questions } }

  /// A command that executes another one, which then uses this server.
  ///
  /// - Parameter folder: for the resolv.conf.
  package func wrapper(in folder: String) throws -> [String] {
    let path = folder + "/resolv.conf"
    try "nameserver \(address)\noptions timeout:\(TestSocket.patience) attempts:1\n".write(
      toFile: path, atomically: false, encoding: .utf8)
    return [
      "/usr/bin/unshare", "--mount", "/bin/sh", "-c", #"mount --bind "$0" /etc/resolv.conf && exec "$@""#, path,
    ]
  }

  private func answerOne() -> Bool {
    var question = [UInt8](repeating: 0, count: 512)
    var peer = sockaddr_storage()
    var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let count = unsafe withUnsafeMutableBytes(of: &peer) { peer in
      unsafe recvfrom(
        descriptor.number, &question, question.count, 0, peer.baseAddress!.assumingMemoryBound(to: sockaddr.self), &size
      )
    }
    guard count > 12 else { return false }
    let answer = reply(to: question[..<count])
    unsafe withUnsafeBytes(of: &peer) { peer in
      unsafe _ = sendto(
        descriptor.number, answer, answer.count, 0, peer.baseAddress!.assumingMemoryBound(to: sockaddr.self), size)
    }
    return true
  }

  /// RFC 1035 §4.1: the header, the question, and a record for each address.
  private func reply(to message: ArraySlice<UInt8>) -> [UInt8] {
    let end = (message[12...].firstIndex(of: 0) ?? message.endIndex - 5) + 5
    let question = message[12..<end]
    // An A record, not AAAA.
    let isForAddress = question.dropLast(2).last == 1
    let addresses = state.withLock { state in
      guard isForAddress else { return [LoopbackAddress]() }
      state.questions += 1
      return state.addresses
    }
    let header: [UInt8] = [message[0], message[1], 0x81, 0x80, 0, 1, 0, UInt8(addresses.count), 0, 0, 0, 0]
    let records = addresses.map { address in
      [0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4] + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: address.number >> $0) }
    }
    return header + question + records.joined()
  }
}
