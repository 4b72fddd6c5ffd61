package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"google.golang.org/grpc/credentials"
)

// credentialsOf reads the files of an authority, of the server's certificate and of its key. Clients must have a
// certificate of the authority's.
func credentialsOf(files []string) (credentials.TransportCredentials, error) {
	if len(files) != 3 {
		return nil, fmt.Errorf("--tls wants CA,CERT,KEY")
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		return nil, err
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate", files[0])
	}
	certificate, err := tls.LoadX509KeyPair(files[1], files[2])
	if err != nil {
		return nil, err
	}
	return credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{certificate},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    authorities,
		MinVersion:   tls.VersionTLS12,
	}), nil
}
