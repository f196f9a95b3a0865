import Foundation
import TestFolders
import TestSupport

/// Runs the built program to its end, with no other variables than these.
///
/// - Parameter input: its standard input.
func runCommand(
  _ arguments: [String], input: String = "", environment: [String: String] = [:]
) throws -> (status: Int32, output: String, errors: String) {
  let folder = try TemporaryFolder()
  try folder.write(input, to: "in")
  let process = Process()
  process.executableURL = URL(filePath: try BuiltProgram.path())
  process.arguments = arguments
  process.environment = environment
  let (output, errors) = (Pipe(), Pipe())
  process.standardInput = try FileHandle(forReadingFrom: folder.url.appending(path: "in"))
  process.standardOutput = output
  process.standardError = errors
  try process.run()
  let said = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
  let printed = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
  process.waitUntilExit()
  return (process.terminationStatus, printed, said)
}
