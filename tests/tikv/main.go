// A TiKV store and its placement driver in one process, for tests: the storage engine that TiDB tests itself with, which
// keeps Percolator's rules, behind the protocols that clients of a cluster speak. What it has answered survives a kill of
// the process. As a client it is client-go, TiDB's and JuiceFS's.
//
// usage: tikv-server [--tls CA,CERT,KEY] ADDRESS[,ADDRESS=ADVERTISED] FOLDER [SPLIT...]
//
//	--tls: files in PEM; as TiKV does, it then asks clients for a certificate that CA has signed
//	ADDRESS: 127.0.0.1:PORT. Who asks at the second one is told that the cluster is at ADVERTISED.
//	SPLIT: first keys of more regions, in hex
//
// usage: tikv-server client PD OPERATION...     see client.go
package main

import (
	"fmt"
	"os"
	"strings"

	"google.golang.org/grpc"
)

func run(arguments []string) error {
	if len(arguments) > 2 && arguments[0] == "client" {
		return runClient(arguments[1], arguments[2:])
	}
	var options []grpc.ServerOption
	if len(arguments) > 1 && arguments[0] == "--tls" {
		credentials, err := credentialsOf(strings.Split(arguments[1], ","))
		if err != nil {
			return err
		}
		options, arguments = append(options, grpc.Creds(credentials)), arguments[2:]
	}
	if len(arguments) < 2 {
		return fmt.Errorf("usage: tikv-server [--tls CA,CERT,KEY] ADDRESS[,ADDRESS=ADVERTISED] FOLDER [SPLIT...]")
	}
	return serve(options, strings.Split(arguments[0], ","), arguments[1], arguments[2:])
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
