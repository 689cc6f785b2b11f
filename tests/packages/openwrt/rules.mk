# What a recipe finds in the place of OpenWrt's SDK: the words it may use, enough to make and look at the package's files.
# TOPDIR: this folder; ARCH: the SDK's word for a processor; DL_DIR: the tarball; OUT: where all goes.
INCLUDE_DIR := $(TOPDIR)/include
BUILD_DIR := $(OUT)/build
INSTALL_DIR := install -d -m0755
INSTALL_BIN := install -m0755
INSTALL_DATA := install -m0644
INSTALL_CONF := install -m0600
