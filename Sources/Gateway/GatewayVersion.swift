import System
import Upstream

/// The version of this program. Scripts in `deploy` read it from this line, so that no other file has it.
package let gatewayVersion = "0.1.0"

/// What this program was built from, as `version`, the metrics and the status report it.
package enum Build {
  /// The commit of the source, with `-dirty` if files differed from it; `unknown` unless `deploy/build` built the program.
  package static let commit = buildCommit
  /// The version of Swift; without the patch level unless `deploy/build` built the program.
  package static let swift = buildSwift
  /// The version of libcurl whose headers the program was built with.
  package static let libcurlLinked = LibcurlVersion.linked
  /// The version of libcurl that this process has loaded.
  package static let libcurlRunning = LibcurlVersion.running
}
