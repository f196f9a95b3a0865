import Foundation
import Gateway
import Glibc
import TestFolders
import TestSupport
import Testing

/// Listeners on Unix sockets, for proxies of the same machine.
@Suite(.timeLimit(.minutes(10))) struct UnixListenerTests {
  private func mode(of path: String) -> UInt32? {
    var status = stat()
    return unsafe lstat(path, &status) == 0 ? status.st_mode & 0o7777 : nil
  }

  @Test func `a socket file has its mode and group from the beginning, and goes with the gateway`() throws {
    try withTemporaryFolder { folder in
      let (path, admin) = (folder.path("http.sock"), folder.path("admin.sock"))
      let listener: [String: any Sendable] = ["address": "unix:\(path)", "mode": "0660", "group": Int(getegid())]
      let gateway = try GatewayProcess(
        TestPolicyFolder(
          instances: [("one", "http://127.0.0.1:1")],
          gateway: ["listen": ["127.0.0.1:0", listener] as [any Sendable], "admin": "unix:\(admin)"]))
      #expect(gateway.waitUntilSaid("for operators: unix:\(admin)"))
      #expect(mode(of: path) == 0o660 && mode(of: admin) != nil)
      #expect(gateway.stop() == 0)
      #expect(mode(of: path) == nil && mode(of: admin) == nil)
    }
  }

  @Test func `a group that this machine does not have is named, and no file is left`() throws {
    try withTemporaryFolder { folder in
      let (first, second) = (folder.path("first.sock"), folder.path("second.sock"))
      let listeners: [any Sendable] = [
        "127.0.0.1:0", "unix:\(first)",
        ["address": "unix:\(second)", "mode": "0660", "group": "no-such-group"] as [String: any Sendable],
      ]
      let fault = #expect(throws: StartFault.self) {
        _ = try RunningGateway(upstreams: [("one", 1)], gateway: ["listen": listeners])
      }
      #expect(
        fault?.description
          == "gateway.json: listen: unix:\(second): \"group\": this machine has no group \"no-such-group\"; "
          + "make it, or name another one or its number")
      #expect(mode(of: first) == nil && mode(of: second) == nil)
    }
  }
}
