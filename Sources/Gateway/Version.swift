/// The version of this program, as `version`, metrics and status tell it.
package let gatewayVersion = "0.1.0"
