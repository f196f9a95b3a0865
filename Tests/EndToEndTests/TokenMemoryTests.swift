import Digests
import Foundation
import TestSupport
import Testing

/// What many tokens and instances cost the running program; a fifth of the greatest numbers, for builds without optimization.
@Suite(.serialized) struct TokenMemoryTests {
  private static let tokenCount = 20_000
  private static let instanceCount = 2_000
  /// Of all that the program holds, instances included, a token's part.
  private static let bytesATokenMax = 200

  /// How the tokens lie in the folder.
  enum Shape: CaseIterable {
    case oneClient, manyFiles
  }

  @Test(arguments: Shape.allCases)
  func `holds tokens and instances at 200 bytes a token, also after a reload`(shape: Shape) throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    defer { core.stop() }
    let url = "http://127.0.0.1:\(core.port)"
    let few = try GatewayProcess(TestPolicyFolder(instances: [(Self.instance(0), url)]))
    defer { few.stop() }
    let folder = try TestPolicyFolder(instances: (0..<Self.instanceCount).map { (Self.instance($0), url) })
    try writeTokens(shape, in: folder)
    let many = try GatewayProcess(folder)
    defer { many.stop() }
    for generation in 1...2 {
      // The same with few tokens, so that all else takes the same memory.
      for gateway in [few, many] { try use(gateway, generation: generation) }
      // What a reload leaves behind is given back a little later.
      let end = Date() + Double(TestSocket.patience)
      var bytes = Int.max
      while bytes > Self.bytesATokenMax, Date() < end {
        bytes = try (many.ownKibibytes() - few.ownKibibytes()) * 1024 / Self.tokenCount
        Thread.sleep(forTimeInterval: 0.05)
      }
      print("\(shape), generation \(generation): \(bytes) bytes a token")
      #expect(bytes <= Self.bytesATokenMax)
    }
  }

  private func use(_ gateway: GatewayProcess, generation: Int) throws {
    if generation > 1 {
      gateway.signal(SIGHUP)
      // A build without optimization takes seconds for it, and a busy machine several times as long.
      #expect((0..<12).contains { _ in gateway.waitUntilSaid("generation \(generation) in force") })
    }
    let socket = try TestSocket(port: gateway.port)
    try socket.send(testRequest("GET", "/proxy/balances?instance_id=\(Self.instance(0))"))
    var reader = TestMessageReader(socket)
    #expect(try reader.next()?.status == 200)
  }

  private func writeTokens(_ shape: Shape, in folder: TestPolicyFolder) throws {
    let indices = 0..<Self.tokenCount
    switch shape {
    case .oneClient: try write([client("c", tokens: Array(indices))], "clients/all.json", folder)
    case .manyFiles:
      for file in 0..<200 {
        let clients = (file * 100..<(file + 1) * 100).map { client("c\($0)", tokens: [$0]) }
        try write(clients, "clients/\(file).json", folder)
      }
    }
  }

  private func client(_ name: String, tokens: [Int]) -> String {
    let entries = tokens.map { #"{"sha256":"\#(SHA256.digest(of: Array("token \($0)".utf8).span).hex)"}"# }
    let instances = (0..<3).map { "\"\(Self.instance((tokens[0] * 7 + $0) % Self.instanceCount))\"" }
    return """
      "\(name)":{"scopes":["proxy:read"],"instances":[\(instances.joined(separator: ","))],\
      "tokens":[\(entries.joined(separator: ","))]}
      """
  }

  private func write(_ clients: [String], _ name: String, _ folder: TestPolicyFolder) throws {
    try FileManager.default.createDirectory(atPath: folder.path + "/clients", withIntermediateDirectories: true)
    let text = "{\"clients\":{\(clients.joined(separator: ",\n"))}}"
    try text.write(toFile: "\(folder.path)/\(name)", atomically: false, encoding: .utf8)
  }

  private static func instance(_ index: Int) -> String {
    "inst-" + String(repeating: "0", count: 5 - "\(index)".count) + "\(index)"
  }
}
