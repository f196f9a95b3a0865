package import Policies
import System

extension Policy {
  /// The policy with bounds that fit what this process may open, and what is to be said of it; without a policy the
  /// bounds that the file states do not fit. Raises the soft limit to the hard one, as a start does.
  package func fittedToDescriptors(in reading: FolderReading) -> LoadResult {
    fitted(toDescriptors: DescriptorLimit.raise(), in: reading)
  }

  func fitted(toDescriptors available: Int, in reading: FolderReading) -> LoadResult {
    let loops = settings.loops > 0 ? settings.loops : processorCount
    var findings: [Finding] = []
    do throws(StartFault) {
      let policy = try fitted(toDescriptors: available, loops: loops) { line in
        // What is asked for stands in no file, so that no file is at fault.
        findings.append(reading.finding(.note, "gateway.json", "limits", line.withoutPrefix("limits: ")))
      }
      return LoadResult(policy: policy, findings: findings)
    } catch {
      let message = error.description.withoutPrefix("gateway.json: limits: ")
      return LoadResult(policy: nil, findings: [reading.finding(.error, "gateway.json", "limits", message)])
    }
  }
}

extension String {
  fileprivate func withoutPrefix(_ prefix: String) -> String {
    hasPrefix(prefix) ? String(dropFirst(prefix.count)) : self
  }
}
