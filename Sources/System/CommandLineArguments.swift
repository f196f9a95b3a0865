import CLinux

/// The command line, also where `/proc` is not mounted.
package enum CommandLineArguments {
  /// The program as its caller names it, then the arguments.
  package static let all = (0..<linux_argument_count()).map { unsafe String(cString: linux_argument($0)) }
}
