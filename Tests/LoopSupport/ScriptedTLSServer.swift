import Foundation
import Reactor
import System

/// A TLS server that accepts one connection and follows its script; it ends with its last holder.
package final class ScriptedTLSServer {
  package enum Script: String {
    /// Reads the request, answers and closes.
    case endsWithCloseNotify, endsWithoutCloseNotify
    /// Reads the request's first byte, answers and closes: unread bytes make that a reset.
    case answersEarly, answersEarlyAndBreaks
  }

  package static let answer = "HTTP/1.1 200 OK\r\n\r\n" + String(repeating: "a", count: 20_000)
  package static let isThere = FileManager.default.isExecutableFile(atPath: python)
  private static let python = "/usr/bin/python3"

  package let port: UInt16
  private let process = Process()

  private static let program = """
    import socket, ssl, sys, time
    script, version, folder, answer = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder + "/good.pem", folder + "/good.key")
    context.minimum_version = context.maximum_version = {
        "1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[version]
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    incoming = ssl.MemoryBIO()
    outgoing = ssl.MemoryBIO()
    peer = listener.accept()[0]
    # Otherwise Nagle delays the alert, and the reset drops it.
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    tls = context.wrap_bio(incoming, outgoing, server_side=True)
    def attempt(action):
        while True:
            try:
                result = action()
            except ssl.SSLWantReadError:
                peer.sendall(outgoing.read())
                incoming.write(peer.recv(1024))
            else:
                peer.sendall(outgoing.read())
                return result
    attempt(tls.do_handshake)
    attempt(lambda: tls.read(1))
    if script.startswith("answersEarly"):
        # More of the request arrives and stays unread.
        time.sleep(0.2)
    attempt(lambda: tls.write(answer.encode()))
    if script in ("endsWithCloseNotify", "answersEarly"):
        try:
            tls.unwrap()
        except ssl.SSLError:
            pass
        peer.sendall(outgoing.read())
    peer.close()
    # Until it is killed.
    time.sleep(60)
    """

  package init(_ authority: TestAuthority, _ script: Script, _ version: String) throws {
    let output = Pipe()
    process.executableURL = URL(fileURLWithPath: Self.python)
    process.arguments = ["-c", Self.program, script.rawValue, version, authority.folder, Self.answer]
    process.standardOutput = output
    process.standardInput = FileHandle.nullDevice
    try process.run()
    var said = ""
    while !said.hasSuffix("\n") {
      let more = output.fileHandleForReading.availableData
      guard !more.isEmpty else { break }
      said += String(decoding: more, as: UTF8.self)
    }
    guard let port = UInt16(said.dropLast()) else {
      kill(process.processIdentifier, SIGKILL)
      throw Errno(ECONNREFUSED)
    }
    self.port = port
  }

  deinit {
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
  }
}
