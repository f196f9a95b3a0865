import Reactor
import SandboxCore
import TestSupport

/// A sandbox Core that runs until the test ends.
func sandbox(_ dialect: CoreDialect = .measured) throws -> SandboxServer {
  let fixtures = try Fixtures.ofTest()
  let core = try SandboxServer(listen: .tcp(host: "127.0.0.1", port: 0), key: TestPolicyFolder.key, dialect: dialect)
  fixtures.add { core.stop() }
  return core
}
