import CBuild

/// The commit of the source; `unknown` if the build did not pass it.
package var buildCommit: String { unsafe String(cString: build_commit()) }

/// The version of Swift that built this program; only major and minor if the build did not pass it.
package var buildSwift: String {
  let version = unsafe String(cString: build_swift())
  return version.isEmpty ? compilerVersion : version
}

#if compiler(>=6.4)
  private let compilerVersion = "6.4 or later"
#elseif compiler(>=6.3)
  private let compilerVersion = "6.3"
#else
  private let compilerVersion = "6.2"
#endif
