// Command bench is net/http with golang-jwt: the bench's protected route. Arguments: secret, permission, title, description. Prints its port.
package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

type claims struct {
	jwt.RegisteredClaims
	Data struct {
		Permissions []string            `json:"permissions"`
		Roles       map[string][]string `json:"roles"`
	} `json:"data"`
}

type information struct {
	Title       string `json:"title"`
	Description string `json:"description"`
	Public      bool   `json:"public"`
}

func main() {
	secret, permission, title, description := []byte(os.Args[1]), os.Args[2], os.Args[3], os.Args[4]
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired())
	key := func(*jwt.Token) (any, error) { return secret, nil }
	allows := func(request *http.Request) bool {
		token, found := strings.CutPrefix(request.Header.Get("Authorization"), "Bearer ")
		if !found {
			return false
		}
		var given claims
		if _, err := parser.ParseWithClaims(token, &given, key); err != nil {
			return false
		}
		if slices.Contains(given.Data.Permissions, permission) {
			return true
		}
		for _, role := range given.Data.Roles {
			if slices.Contains(role, permission) {
				return true
			}
		}
		return false
	}
	http.HandleFunc("GET /private/info/", func(writer http.ResponseWriter, request *http.Request) {
		if !allows(request) {
			writer.WriteHeader(http.StatusUnauthorized)
			return
		}
		writer.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(writer).Encode(information{title, description, false})
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	panic(http.Serve(listener, nil))
}
