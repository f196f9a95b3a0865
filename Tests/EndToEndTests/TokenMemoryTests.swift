import Digests
import Foundation
import TestSupport
import Testing

/// Memory for many tokens and instances; a fifth of the supported numbers, because debug builds are slow.
@Suite(.scopedFixtures, .serialized) struct TokenMemoryTests {
  private static let tokenCount = 20_000
  private static let instanceCount = 2_000
  /// All memory of the program, instances included, divided by the number of tokens.
  private static let bytesATokenMax = 200

  /// How the tokens are distributed over files.
  enum Shape: CaseIterable {
    case oneClient, manyFiles
  }

  @Test(arguments: Shape.allCases)
  func `tokens and instances take at most 200 bytes a token, also after a reload`(shape: Shape) throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let url = "http://127.0.0.1:\(core.port)"
    let few = try GatewayProcess(TestPolicyFolder(instances: [(Self.instance(0), url)]))
    let folder = try TestPolicyFolder(instances: (0..<Self.instanceCount).map { (Self.instance($0), url) })
    try writeTokens(shape, in: folder)
    let many = try GatewayProcess(folder)
    for generation in 1...2 {
      // Both gateways do the same, so that they differ in the tables only.
      for gateway in [few, many] { try use(gateway, generation: generation) }
      // Memory that a reload releases is returned a little later.
      var bytes = Int.max
      let isWithin = try eventually {
        bytes = try (many.ownKibibytes() - few.ownKibibytes()) * 1024 / Self.tokenCount
        return bytes <= Self.bytesATokenMax
      }
      print("\(shape), generation \(generation): \(bytes) bytes a token")
      #expect(isWithin)
    }
  }

  private func use(_ gateway: GatewayProcess, generation: Int) throws {
    if generation > 1 {
      gateway.signal(SIGHUP)
      // A debug build takes seconds for it, and a busy machine several times as long.
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
