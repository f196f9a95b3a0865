import Glibc
import System
import Testing

@Suite struct DescriptorIdentityTests {
  @Test func `distinguishes a descriptor from the next one with its number`() throws {
    let number = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    let identity = DescriptorIdentity(of: number)
    #expect(identity != nil && identity == DescriptorIdentity(of: number))
    // Another socket takes over the number without freeing it for other tests' threads.
    let other = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer {
      close(number)
      close(other)
    }
    #expect(dup2(other, number) == number)
    #expect(DescriptorIdentity(of: number) != identity)
    #expect(DescriptorIdentity(of: -1) == nil)
  }
}
