import Foundation
import Glibc
import Policies
import Reactor
import System
import TestFolders
import Testing

@testable import Gateway

/// Which passed socket is used for which address; `SocketActivationTests` has the rest.
@Suite struct InheritedListenersTests {
  private func passed(_ listeners: [(name: String, listener: Reactor.Listener)]) -> InheritedSockets {
    InheritedSockets(
      listeners.map { entry in
        InheritedSocket(FileDescriptor(owning: dup(entry.listener.descriptor.number)), name: entry.name)
      })
  }

  /// The settings of a policy with these members of gateway.json.
  private func settings(_ gateway: String) throws -> GatewaySettings {
    try withTemporaryFolder { folder in
      try folder.write(gateway, to: "gateway.json")
      try folder.write(#"{"instances": {}}"#, to: "instances.json")
      try folder.write(#"{"clients": {}}"#, to: "clients.json")
      let result = Policy.load(PolicyFolder(path: folder.path, environment: [:]), now: UnixSeconds(0))
      return try #require(result.policy, "\(result.findings)").settings
    }
  }

  @Test(arguments: ["127.0.0.1", "::1"])
  func `a socket is used for the address that it is bound to`(host: String) throws {
    let listener = try Reactor.Listener(.tcp(host: host, port: 0))
    let port = try #require(listener.localAddress?.port)
    let address = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    let settings = try settings(#"{"listen": ["127.0.0.1:1", "\#(address)"], "admin": null}"#)
    let listeners = try InheritedListeners(passed([("proxy", listener)]), settings)
    #expect(listeners.proxy.keys.map(\.description) == [address] && listeners.admin == nil)
  }

  @Test(arguments: ["proxy", "admin"])
  func `a second socket for an address is an error`(name: String) throws {
    let listener = try Reactor.Listener(.tcp(host: "127.0.0.1", port: 0))
    let address = "127.0.0.1:\(try #require(listener.localAddress?.port))"
    let other = name == "proxy" ? "admin" : "listen"
    let key = name == "proxy" ? "listen" : "admin"
    let settings = try settings(#"{"\#(key)": "\#(address)", "\#(other)": "127.0.0.1:1"}"#)
    let sockets = passed([(name, listener), (name, listener)])
    let fault = #expect(throws: StartFault.self) { _ = try InheritedListeners(sockets, settings) }
    #expect(
      fault?.description
        == "the passed descriptor \(sockets.all[1].number) (name \"\(name)\") is the second socket that listens on "
        + "\(address); pass one for each address")
  }

  @Test func `a descriptor that is not a socket is an error`() throws {
    let file = InheritedSocket(FileDescriptor(owning: unsafe open("/dev/null", O_RDONLY)), name: "proxy")
    let settings = try settings("{}")
    let fault = #expect(throws: StartFault.self) { _ = try InheritedListeners(InheritedSockets([file]), settings) }
    #expect(
      fault?.description
        == "the passed descriptor \(file.number) (name \"proxy\") is not a socket; pass sockets only")
  }
}
